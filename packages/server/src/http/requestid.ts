import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { ServerLogger } from '../options.ts';

/** Header that carries the ID of a request, in and out. */
export const requestIdHeader = 'X-Request-Id';

const current = new AsyncLocalStorage<string>();

/**
 * Returns the ID of a request: the one from a trusted proxy, or a new one.
 *
 * @param trusted Whether the request came from a trusted proxy. Strangers must not choose text for the log.
 */
export function requestIdOf(given: string | null | undefined, trusted: boolean): string {
  return trusted && given && /^[\w.-]{1,128}$/.test(given) ? given : randomUUID();
}

/** Runs the work of a request. Its log lines have the ID. */
export function asRequest<Result>(id: string, work: () => Result): Result {
  return current.run(id, work);
}

/** Adds the ID of the request to each line that the request causes. */
export function withRequestIds(logger: ServerLogger): ServerLogger {
  const add = (fields: object) => {
    const request = current.getStore();
    return request === undefined ? fields : { ...fields, request };
  };
  return {
    info: (fields, message) => logger.info(add(fields), message),
    warn: (fields, message) => logger.warn(add(fields), message),
    error: (fields, message) => logger.error(add(fields), message),
  };
}
