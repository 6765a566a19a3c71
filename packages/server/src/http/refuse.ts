import { WireError } from '../errors.ts';
import type { Service } from '../service.ts';
import { translate } from '../storage/failure.ts';

/** Turns any error into an answer without its details, which go to the log. */
export function refuse(service: Service, error: unknown): WireError {
  const refusal = error instanceof WireError ? error : explain(service, error as Error & { code?: unknown });
  service.metrics.refusals.inc({ code: refusal.code });
  return refusal;
}

function explain(service: Service, error: Error & { code?: unknown }): WireError {
  const { name, message, code, stack } = error;
  service.options.logger.error({ error: { name, message, code, stack } }, 'Request failed');
  return translate(error);
}
