import { type Awaitable, chain } from './awaitable.ts';
import { BoundedCache, type Cached } from './cache.ts';
import { InvalidTokenError } from './errors.ts';
import { freeze } from './freeze.ts';
import { createKeys, type KeySet } from './keys.ts';
import type { ResolvedOptions } from './options.ts';
import type { CheckSignature } from './signature.ts';
import { checkTime, type PassageClaims, readToken } from './token.ts';

/** Verifies a token and returns its claims; synchronously if the token or its key is known. @internal */
export type VerifyToken = (token: string) => Awaitable<PassageClaims>;

/** A token whose signature was verified with a key of `keys`. */
interface Verified extends Cached {
  readonly token: string;
  readonly claims: PassageClaims;
  readonly keys: KeySet;
}

/**
 * Creates the verifier of an app's tokens, which remembers the tokens it has verified.
 *
 * A cached token needs no signature check, but its times are checked again, and it is verified again once the
 * issuer's key set has changed. It is found by its last characters and compared as a whole: hashing the whole token
 * would take longer than all the rest, and a token that differs anywhere never matches.
 *
 * @internal
 */
export function createVerifier(options: ResolvedOptions): VerifyToken {
  const keys = createKeys(options);
  const cache = new BoundedCache<Verified>(options.tokenCacheSize);

  function recall(token: string): PassageClaims | undefined {
    const known = cache.get(tailOf(token));
    if (!known || known.token !== token) return undefined;
    // Read once: on many machines, reading the clock takes as long as the rest of this function.
    const now = options.clock();
    if (known.keys !== keys.current(now)) return undefined;
    checkTime(known.claims, now, options);
    return known.claims;
  }

  function verify(token: string): Awaitable<PassageClaims> {
    const { kid, claims } = readToken(token, options.clock(), options);
    return chain(keys.find(kid), (keySet) =>
      chain((keySet.get(kid) as CheckSignature)(token), (valid) => {
        if (!valid) throw new InvalidTokenError('signature');
        cache.set(tailOf(token), { token, claims: freeze(claims), keys: keySet });
        return claims;
      }),
    );
  }

  return (token) => recall(token) ?? verify(token);
}

function tailOf(token: unknown): string {
  return typeof token === 'string' ? token.slice(-12) : '';
}
