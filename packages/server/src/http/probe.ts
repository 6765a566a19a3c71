import { timingSafeEqual } from 'node:crypto';
import type { Secrets } from '../storage/secrets.ts';

/** Header with which `passage-server doctor` asks how its request reached the server. */
export const probeHeader = 'X-Passage-Probe';
/** Header with the answer, as JSON. */
export const seenHeader = 'X-Passage-Seen';

/** How long a probe is valid, in milliseconds. The clocks of the two machines may differ. */
const lifetime = 300_000;

/** How a request reached the server. */
export interface Seen {
  /** Address at the other end of the connection. */
  connection?: string | undefined;
  /** Address that rate limits count. */
  client?: string | undefined;
  /** Whether the connection comes from a trusted proxy. */
  trusted: boolean;
  /** Entries of `X-Forwarded-For`, and how many of them the server read. */
  forwarded: number;
  read: number;
}

/** Creates a probe. Only a holder of the server's secret can do this. */
export function makeProbe(secrets: Secrets, now: number): string {
  return `${now}.${secrets.hash('probe', `${now}`)}`;
}

export function isProbe(secrets: Secrets, given: string, now: number): boolean {
  const [, time = ''] = /^(\d{1,15})\./.exec(given) ?? [];
  if (!time || Math.abs(Number(time) - now) > lifetime) return false;
  const [known, sent] = [Buffer.from(makeProbe(secrets, Number(time))), Buffer.from(given)];
  return known.length === sent.length && timingSafeEqual(known, sent);
}
