/** Whether this is the URL of a PostgreSQL database, and not the path of a SQLite file. */
export function isPostgres(location: string): boolean {
  return /^postgres(ql)?:\/\//i.test(location);
}

/**
 * A path must not look like the URL of another database, an unexpanded variable or a list of parameters. It must not
 * have leftovers of env files: quotes, spaces at the ends, carriage returns. One letter and a colon is a drive of
 * Windows.
 */
export function isLocation(location: string): boolean {
  if (location === '' || /\p{Cc}|^["'\s]|["'\s]$/u.test(location)) return false;
  return isPostgres(location) || !/["']|^[\w.+-]{2,}:(?!memory:$)|^\w+=|\$[{(]|:\/\//.test(location);
}

/** Whether special characters in a PostgreSQL URL are encoded: in a password, they would end it early. */
export function isEncoded(location: string): boolean {
  if (!isPostgres(location)) return true;
  try {
    const { username, password, pathname, hash, search } = parsePostgres(location);
    for (const part of [username, password, pathname]) decodeURIComponent(part);
    return hash === '' && !/[#\s]/.test(location) && !`${pathname}${search}`.includes('@');
  } catch {
    return false;
  }
}

/** Whether a PostgreSQL URL chooses no schema by a parameter of another driver. This one would ignore it, and use the default schema. */
export function isSchemaInOptions(location: string): boolean {
  if (!isPostgres(location)) return true;
  const names = [...parsePostgres(location).searchParams.keys()];
  return !names.some((name) => /^(schema|current_?schema|search_?path)$/i.test(name));
}

/**
 * The driver takes URLs with a user and no host, which is then a parameter; `URL` does not.
 *
 * @throws TypeError if it is not a URL
 */
export function parsePostgres(location: string): URL {
  return new URL(location.replace('@/', '@localhost/'));
}
