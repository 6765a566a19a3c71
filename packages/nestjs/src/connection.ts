import { isPassageError } from '@passage-auth/core';
import { report } from './errors.ts';

/** A client of Socket.IO or `ws`, as far as it is needed here. */
export interface GatewayClient {
  request?: unknown;
  emit?(event: string, ...values: unknown[]): unknown;
  /** Socket.IO. */
  disconnect?(close: boolean): unknown;
  /** `ws`. */
  close?(code: number, reason: string): unknown;
}

/** Says why, and closes the connection. */
export function disconnect(client: GatewayClient, error: unknown): void {
  report(error);
  const code = isPassageError(error) ? error.code : 'ERR_PASSAGE_UNAVAILABLE';
  if (client.disconnect) {
    const message = isPassageError(error) ? error.message : 'Internal server error';
    client.emit?.('exception', { status: 'error', message, code });
    client.disconnect(true);
  }
  // RFC 6455 §7.4.1 and IANA: 1008 is a refusal, 1013 asks to try again later.
  else client.close?.(isPassageError(error) && error.status < 500 ? 1008 : 1013, code);
}
