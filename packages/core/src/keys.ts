import { createLocalJWKSet } from 'jose/jwks/local';
import { InvalidTokenError, UnavailableError } from './errors.ts';
import { boundedFetch } from './http.ts';
import type { JsonWebKeySet, ResolvedOptions } from './options.ts';

/** The keys of an issuer that can verify RS256, by `kid`. Compared by identity: a changed key set is another object. */
export type KeySet = ReadonlyMap<string, CryptoKey>;

/** Where the verifier gets its keys from. */
export interface Keys {
  /** The key set to trust now without waiting; `undefined` when an answer of the issuer must be waited for. */
  current(now: number): KeySet | undefined;
  /**
   * The key set to check a token of this `kid` with. It contains the `kid`.
   *
   * @throws {@link InvalidTokenError} `key` when the issuer does not list it
   * @throws {@link UnavailableError} when the issuer cannot be asked
   */
  find(kid: string): Promise<KeySet>;
}

/** All durations in milliseconds. */
const second = 1000;
const minute = 60 * second;
const fresh = 5 * minute;
/** A key that a healthy issuer has withdrawn must not be trusted for longer. */
const withdrawal = 10 * minute;
/** Known keys are trusted for so long while the issuer is out of reach. */
const lifetime = 24 * 60 * minute;
/** Least time between two fetches, unless there is no key at all. */
const cooldown = 30 * second;

/** Where the issuer of an app publishes its keys. @internal */
export function keysUrl({ authUrl, appId }: ResolvedOptions): string {
  return `${authUrl}/apps/${appId}/.well-known/jwks.json`;
}

/** Returns the keys of an issuer: fetched on first use, or those given in the options. */
export function createKeys(options: ResolvedOptions): Keys {
  return options.jwks === undefined ? new FetchedKeys(options) : new GivenKeys(options.jwks);
}

class GivenKeys implements Keys {
  readonly #jwks: JsonWebKeySet;
  #reading: Promise<KeySet> | undefined;
  #set: KeySet | undefined;

  constructor(jwks: JsonWebKeySet) {
    try {
      createLocalJWKSet(jwks as Parameters<typeof createLocalJWKSet>[0]);
    } catch (cause) {
      throw new TypeError('"jwks" option must be a JSON Web Key Set, as { "keys": [] }', {
        cause,
      });
    }
    this.#jwks = jwks;
  }

  current(): KeySet | undefined {
    return this.#set;
  }

  async find(kid: string): Promise<KeySet> {
    this.#reading ??= readKeySet(this.#jwks);
    this.#set = await this.#reading;
    if (!this.#set.has(kid)) throw new InvalidTokenError('key');
    return this.#set;
  }
}

/**
 * The issuer's published keys.
 *
 * Fresh for 5 minutes, then refreshed in the background while they go on serving. An unknown `kid` brings the refresh
 * forward, at most once in 30 seconds, and only the token that carries it waits.
 *
 * @see RFC 7517 §5, docs/protocol.md §2.4
 */
class FetchedKeys implements Keys {
  readonly #url: string;
  readonly #fetch: typeof globalThis.fetch;
  readonly #clock: () => number;
  #set: KeySet | undefined;
  #text: string | undefined;
  #confirmedAt = 0;
  #nextFetchAt = 0;
  #failures = 0;
  #cause: unknown;
  #pending: Promise<void> | undefined;

  constructor(options: ResolvedOptions) {
    this.#url = keysUrl(options);
    this.#fetch = boundedFetch(options.fetch, Math.min(options.timeout, 5 * second));
    this.#clock = options.clock;
  }

  current(now: number): KeySet | undefined {
    const age = now - this.#confirmedAt;
    if (!this.#set || age < fresh) return this.#set;
    const outage = this.#failures > 0;
    if (age >= lifetime || (age >= withdrawal && !outage)) return undefined;
    void this.#refresh();
    return this.#set;
  }

  async find(kid: string): Promise<KeySet> {
    const known = this.current(this.#clock()) ?? (await this.#next());
    const set = known?.has(kid) ? known : await this.#next();
    if (set?.has(kid)) return set;
    if (set && this.#failures === 0) throw new InvalidTokenError('key');
    const wait = (this.#nextFetchAt - this.#clock()) / second;
    throw new UnavailableError('keys', wait, { cause: this.#cause });
  }

  /** The key set after the refresh that is due or under way, or, where none may be made now, the known one. */
  async #next(): Promise<KeySet | undefined> {
    await this.#refresh();
    return this.#clock() - this.#confirmedAt < lifetime ? this.#set : undefined;
  }

  /** Never rejects: what went wrong is in the state. */
  #refresh(): Promise<void> {
    if (this.#clock() >= this.#nextFetchAt) {
      this.#pending ??= this.#read().finally(() => {
        this.#pending = undefined;
      });
    }
    return this.#pending ?? Promise.resolve();
  }

  async #read(): Promise<void> {
    try {
      const response = await this.#fetch(this.#url, { headers: { accept: 'application/json' } });
      if (response.status !== 200) throw new Error('Not answered with 200');
      const text = await response.text();
      // The same text is the same key set: tokens verified with it stay verified.
      if (text !== this.#text) this.#set = await readKeySet(JSON.parse(text));
      this.#text = text;
      this.#confirmedAt = this.#clock();
      this.#nextFetchAt = this.#confirmedAt + cooldown;
      this.#failures = 0;
      this.#cause = undefined;
    } catch (cause) {
      this.#failures += 1;
      this.#cause = cause;
      this.#nextFetchAt = this.#clock() + (this.#set ? cooldown : backoff(this.#failures));
    }
  }
}

/** Wait after the nth failure in a row with no keys at all: 1, 2, 4, … 30 seconds, each less up to a half. */
function backoff(failures: number): number {
  return Math.min(second * 2 ** (failures - 1), cooldown) * (1 - Math.random() / 2);
}

/** Reads the keys of a set that tokens may be signed with. @internal */
export async function readKeySet(jwks: JsonWebKeySet): Promise<KeySet> {
  const find = createLocalJWKSet(jwks as Parameters<typeof createLocalJWKSet>[0]);
  const keys = new Map<string, CryptoKey>();
  for (const { kid } of jwks.keys) {
    if (typeof kid !== 'string' || kid === '') continue;
    // jose honors `kty`, `use`, `alg` and `key_ops`; what it refuses, and a `kid` listed twice, cannot verify anything.
    const key = await find({ alg: 'RS256', kid }).catch(() => undefined);
    if (key && isStrong(key.algorithm as RsaHashedKeyAlgorithm)) keys.set(kid, key);
  }
  return keys;
}

function isStrong({ modulusLength, publicExponent }: RsaHashedKeyAlgorithm): boolean {
  // RFC 8017 §3.1: the exponent is at least 3. With 1, anybody can write signatures. Big-endian, maybe with zeros before it.
  const exponent = publicExponent.reduce((value, byte) => value * 256 + byte, 0);
  // RFC 7518 §3.3: 2048 bits or larger.
  return modulusLength >= 2048 && exponent >= 3;
}
