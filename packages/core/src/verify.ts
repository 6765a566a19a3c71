import type { Awaitable } from './awaitable.ts';
import { BoundedCache } from './cache.ts';
import { InvalidTokenError } from './errors.ts';
import { freeze } from './freeze.ts';
import { createKeys, type KeySet } from './keys.ts';
import type { ResolvedOptions } from './options.ts';
import {
  checkTime,
  decodeBinary,
  type PassageClaims,
  readToken,
  toBytes,
  type UnverifiedToken,
} from './token.ts';

/** Verifies a token and gives its claims: at once where it is remembered. @internal */
export type VerifyToken = (token: string) => Awaitable<PassageClaims>;

/** A token whose signature was verified with a key of `keys`. */
interface Verified {
  readonly token: string;
  readonly claims: PassageClaims;
  readonly keys: KeySet;
}

/**
 * Makes the verifier of an app's tokens, with a memory for what it has verified.
 *
 * A remembered token costs no signature check, but its time is checked again, and it is verified anew as soon as the
 * issuer's key set has changed. It is found by its last characters and compared as a whole: hashing the whole token
 * would take longer than all the rest, and a token that differs anywhere is never taken for it.
 *
 * @internal
 */
export function createVerifier(options: ResolvedOptions): VerifyToken {
  const keys = createKeys(options);
  const cache = new BoundedCache<Verified>(options.tokenCacheSize);

  function recall(token: string): PassageClaims | undefined {
    const known = cache.get(tailOf(token));
    if (!known || known.token !== token) return undefined;
    // Asked once: on many machines the time takes as long as all the rest of this.
    const now = options.clock();
    if (known.keys !== keys.current(now)) return undefined;
    checkTime(known.claims, now, options);
    return known.claims;
  }

  async function verify(token: string, { kid, claims }: UnverifiedToken): Promise<PassageClaims> {
    const keySet = await keys.find(kid);
    await verifySignature(token, keySet.get(kid) as CryptoKey);
    cache.set(tailOf(token), { token, claims: freeze(claims), keys: keySet });
    return claims;
  }

  return (token) => recall(token) ?? verify(token, readToken(token, options));
}

function tailOf(token: unknown): string {
  return typeof token === 'string' ? token.slice(-12) : '';
}

/**
 * Checks the signature of a token that was read. The key decides how: it was imported for RS256 and nothing else.
 *
 * WebCrypto itself, because a JWS library would read the token a second time, which takes a sixth of the whole.
 *
 * @see RFC 7515 §5.2, RFC 7518 §3.3
 */
async function verifySignature(token: string, key: CryptoKey): Promise<void> {
  const end = token.lastIndexOf('.');
  const signature = toBytes(decodeBinary(token.slice(end + 1)));
  const signed = toBytes(token.slice(0, end));
  if (!(await crypto.subtle.verify(key.algorithm, key, signature, signed))) {
    throw new InvalidTokenError('signature');
  }
}
