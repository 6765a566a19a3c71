import { WireError } from '../errors.ts';

/** Codes of SQLite, PostgreSQL and sockets that say: the database does not answer, or cannot be written to. It may later. */
const away =
  /^(SQLITE_(BUSY|FULL|IOERR|READONLY|CANTOPEN|LOCKED)|ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_|57P|53|08|25006)/;
/** A connection that breaks during a query has no code. */
const broken = /^(timeout exceeded when trying to connect|Connection terminated)/;

/** Tells whose fault an unexpected error is: of a database that is away for a while, or of the server. */
export function translate({ code, message }: Error & { code?: unknown }): WireError {
  if (away.test(String(code ?? '')) || broken.test(message)) {
    return new WireError('service_unavailable', undefined, { retryAfter: 5 });
  }
  return new WireError('internal_server_error');
}
