import { JOSEError } from 'jose/errors';
import { compactVerify } from 'jose/jws/compact/verify';
import { BoundedCache } from './cache.ts';
import { InvalidTokenError } from './errors.ts';
import { freeze } from './freeze.ts';
import { createKeys, type KeySet } from './keys.ts';
import type { ResolvedOptions } from './options.ts';
import { checkTime, type PassageClaims, readToken } from './token.ts';

/** Verifies a token and gives its claims. @internal */
export type VerifyToken = (token: string) => Promise<PassageClaims>;

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

  return async (token) => {
    const tail = typeof token === 'string' ? token.slice(-32) : '';
    const known = cache.get(tail);
    if (known && known.token === token && known.keys === keys.current()) {
      checkTime(known.claims, options);
      return known.claims;
    }
    const { kid, claims } = readToken(token, options);
    const keySet = await keys.find(kid);
    await verifySignature(token, keySet.get(kid) as CryptoKey);
    cache.set(tail, { token, claims: freeze(claims), keys: keySet });
    return claims;
  };
}

async function verifySignature(token: string, key: CryptoKey): Promise<void> {
  try {
    await compactVerify(token, key, { algorithms: ['RS256'] });
  } catch (cause) {
    if (cause instanceof JOSEError) throw new InvalidTokenError('signature', { cause });
    throw cause;
  }
}
