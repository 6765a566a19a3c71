/** Whether it is the URL of a PostgreSQL database; else it is a path of SQLite. */
export function isPostgres(location: string): boolean {
  return /^postgres(ql)?:\/\//i.test(location);
}

/**
 * A path must not look like the URL of another database, an unexpanded variable or a list of parameters. It must not
 * have leftovers of env files: quotes, blanks at the ends, carriage returns. One letter and a colon is a drive of
 * Windows.
 */
export function isLocation(location: string): boolean {
  if (location === '' || /\p{Cc}|^["'\s]|["'\s]$/u.test(location)) return false;
  return isPostgres(location) || !/["']|^[\w.+-]{2,}:(?!memory:$)|^\w+=|\$[{(]|:\/\//.test(location);
}

/** Whether a PostgreSQL URL is read as it was meant: a special character in the password would end it early. */
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

/**
 * The driver takes URLs with a user and no host, which is then a parameter; `URL` does not.
 *
 * @throws TypeError if it is no URL
 */
export function parsePostgres(location: string): URL {
  return new URL(location.replace('@/', '@localhost/'));
}
