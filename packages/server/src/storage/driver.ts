/**
 * Loads only the driver of the database in use, so that a platform without a binary for the other driver works.
 *
 * @throws Error that names the package that is not installed
 */
export async function loadDriver<T>(database: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const name = /Cannot find (?:module|package) '([^']+)'/.exec((cause as Error).message)?.[1];
    if (!name) throw cause;
    throw new Error(
      `${database} needs the package ${name}, which is not installed: install it on this platform`,
      {
        cause,
      },
    );
  }
}
