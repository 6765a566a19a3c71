import { randomUUID } from 'node:crypto';
import type { Service } from '../service.ts';

/** Header that carries the ID of a request, in and out. */
export const requestIdHeader = 'X-Request-Id';

/**
 * Returns the ID of a request: the one from a trusted proxy, or a new one.
 *
 * @param isTrusted Whether the request came from a trusted proxy. Strangers must not choose text for the log.
 */
export function requestIdOf(given: string | null, isTrusted: () => boolean): string {
  return given && /^[\w.-]{1,128}$/.test(given) && isTrusted() ? given : randomUUID();
}

/** Returns the service for the work of a request: each log line has the ID of the request. */
export function withRequestId(service: Service, request: string): Service {
  const { logger } = service.options;
  return {
    ...service,
    options: {
      ...service.options,
      logger: {
        info: (fields, message) => logger.info({ ...fields, request }, message),
        warn: (fields, message) => logger.warn({ ...fields, request }, message),
        error: (fields, message) => logger.error({ ...fields, request }, message),
      },
    },
  };
}
