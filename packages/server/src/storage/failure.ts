import { WireError } from '../errors.ts';

/**
 * What an error of the database means. Only this module knows the codes of SQLite, PostgreSQL and sockets.
 *
 * - `away`: the database is temporarily unavailable.
 * - `busy`: another process holds the lock for longer than the server waits.
 * - `full`: there is no space left to write to.
 * - `read-only`: reads work, writes do not.
 * - `conflict`: the database aborted a transaction because of another. It left no changes and may be retried.
 * - `unprepared`: PostgreSQL has lost a prepared statement, because a pooler shares connections between transactions, or its result
 *   has changed, because a newer version has migrated the tables. It left no changes and may be retried.
 * - `duplicate`: a value that must be unique exists, usually since a moment ago.
 */
export type Failure = 'away' | 'busy' | 'full' | 'read-only' | 'conflict' | 'unprepared' | 'duplicate';

const codes: readonly (readonly [RegExp, Failure])[] = [
  [/^SQLITE_(BUSY|LOCKED)/, 'busy'],
  [/^SQLITE_FULL/, 'full'],
  [/^SQLITE_READONLY/, 'read-only'],
  [/^SQLITE_(IOERR|CANTOPEN)/, 'away'],
  [/^SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY)/, 'duplicate'],
  // https://www.postgresql.org/docs/current/errcodes-appendix.html
  [/^(40001|40P01)$/, 'conflict'],
  [/^(26000|42P05|0A000)$/, 'unprepared'],
  [/^23505$/, 'duplicate'],
  [/^25006$/, 'read-only'],
  [/^53100$/, 'full'],
  [/^55P03$/, 'busy'],
  // Connection, its account or its database; too many connections; a shutdown, a crash or a start; a system error.
  [/^(08...|28...|3D000|53...|57...|58...)$/, 'away'],
  [/^(ECONN\w+|EPIPE|ETIMEDOUT|EHOST\w+|ENET\w+|ENOTFOUND|EAI_\w+)$/, 'away'],
  // TLS: the certificate of the database is not trusted.
  [/^(SELF_SIGNED_CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_|CERT_|ERR_TLS_)/, 'away'],
];

/** Errors of broken connections and of connection timeouts have no code. */
const broken =
  /^(timeout exceeded when trying to connect|Connection terminated|Client (has encountered a connection error|was closed))/;

/** Returns what an error of the database means; `undefined` for any other error, which is a bug of the server. */
export function failureOf(error: unknown): Failure | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, syscall } = error as NodeJS.ErrnoException;
  // The file of a socket is missing or belongs to another user.
  if (syscall === 'connect' || broken.test(error.message)) return 'away';
  return codes.find(([pattern]) => pattern.test(code ?? ''))?.[1];
}

/** Returns the cause of an unexpected error: a database that is temporarily unavailable, or the server. */
export function translate(error: unknown): WireError {
  return failureOf(error)
    ? new WireError('service_unavailable', undefined, { retryAfter: 5 })
    : new WireError('internal_server_error');
}
