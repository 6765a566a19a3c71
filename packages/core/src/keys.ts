import { createLocalJWKSet } from 'jose/jwks/local';
import { type Awaitable, grace, within } from './awaitable.ts';
import { InvalidTokenError, UnavailableError } from './errors.ts';
import { channels, observe } from './events.ts';
import { type BoundedFetch, boundedFetch } from './http.ts';
import type { JsonWebKeySet, ResolvedOptions } from './options.ts';
import { type CheckSignature, createSignatureCheck } from './signature.ts';

/** The keys of an issuer that can verify RS256, by `kid`. Compared by identity: a changed key set is another object. */
export type KeySet = ReadonlyMap<string, CheckSignature>;

/** Where the verifier gets its keys from. */
export interface Keys {
  /** The key set that is trusted now; `undefined` if the issuer must be asked first. */
  current(now: number): KeySet | undefined;
  /**
   * The key set to check a token of this `kid` with. It contains the `kid`.
   *
   * @throws {@link InvalidTokenError} `key` when the issuer does not list it
   * @throws {@link UnavailableError} when the issuer cannot be asked
   */
  find(kid: string): Awaitable<KeySet>;
}

/** A refresh of the keys that one request has started. */
interface Refresh {
  /** When it is dead, in milliseconds since the epoch. */
  readonly until: number;
  /** Settles when the refresh has ended, whether it succeeded or failed. */
  readonly outcome: Promise<true>;
}

/** All durations in milliseconds. */
const second = 1000;
const minute = 60 * second;
const fresh = 5 * minute;
/** A key that a healthy issuer has withdrawn must not be trusted for longer. */
const withdrawal = 10 * minute;
/** How long known keys are trusted while the issuer is unavailable. */
const lifetime = 24 * 60 * minute;
/** Least time between two fetches, unless there is no key at all. */
const cooldown = 30 * second;

/** Where the issuer of an app publishes its keys. @internal */
export function keysUrl({ authUrl, appId }: ResolvedOptions): string {
  return `${authUrl}/apps/${appId}/.well-known/jwks.json`;
}

/** Returns the keys of an issuer: those of the options, or fetched on first use. */
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

  find(kid: string): Awaitable<KeySet> {
    return this.#set?.has(kid) ? this.#set : this.#read(kid);
  }

  async #read(kid: string): Promise<KeySet> {
    this.#reading ??= readKeySet(this.#jwks);
    this.#set = await this.#reading;
    if (!this.#set.has(kid)) throw new InvalidTokenError('key');
    return this.#set;
  }
}

/**
 * The issuer's published keys.
 *
 * Fresh for 5 minutes, then refreshed in the background while they stay in use. An unknown `kid` refreshes them
 * early, at most once in 30 seconds, and only the token with that `kid` waits.
 *
 * @see RFC 7517 §5, docs/protocol.md §2.4
 */
class FetchedKeys implements Keys {
  readonly #appId: string;
  readonly #url: string;
  readonly #timeout: number;
  readonly #fetch: BoundedFetch;
  readonly #clock: () => number;
  #set: KeySet | undefined;
  #text: string | undefined;
  #confirmedAt = 0;
  #nextFetchAt = 0;
  #failures = 0;
  #cause: unknown;
  #pending: Refresh | undefined;
  /** Differs for a refresh that was abandoned from the one that is pending. */
  #run = 0;
  /** Whether a refresh has died with the request that started it, as on Workers. */
  #abandoned = false;

  constructor(options: ResolvedOptions) {
    this.#appId = options.appId;
    this.#url = keysUrl(options);
    this.#timeout = Math.min(options.timeout, 5 * second);
    this.#fetch = boundedFetch(options.fetch, this.#timeout);
    this.#clock = options.clock;
  }

  current(now: number): KeySet | undefined {
    const age = now - this.#confirmedAt;
    if (!this.#set || age < fresh) return this.#set;
    const outage = this.#failures > 0;
    if (age >= lifetime || (age >= withdrawal && !outage)) return undefined;
    if (this.#isDue(now)) {
      // If background work dies with its request, as on Workers, the request that starts the refresh waits for it.
      if (this.#abandoned) return undefined;
      void this.#refresh();
    }
    return this.#set;
  }

  find(kid: string): Awaitable<KeySet> {
    const known = this.current(this.#clock());
    return known?.has(kid) ? known : this.#ask(kid, known);
  }

  async #ask(kid: string, known: KeySet | undefined): Promise<KeySet> {
    let set = known ?? (await this.#next());
    if (!set?.has(kid)) set = await this.#next();
    if (set?.has(kid)) return set;
    if (set && this.#failures === 0) throw new InvalidTokenError('key');
    const wait = (this.#nextFetchAt - this.#clock()) / second;
    throw new UnavailableError('keys', wait, { cause: this.#cause });
  }

  /** The key set after the refresh that is due or pending; the known one if no refresh is allowed now. */
  async #next(): Promise<KeySet | undefined> {
    await this.#refresh();
    return this.#clock() - this.#confirmedAt < lifetime ? this.#set : undefined;
  }

  /** Whether a refresh may be started. One that is older than its own timeout is dead. */
  #isDue(now: number): boolean {
    if (this.#pending && now >= this.#pending.until) this.#abandon();
    return !this.#pending && now >= this.#nextFetchAt;
  }

  #abandon(): void {
    this.#pending = undefined;
    this.#abandoned = true;
    this.#run += 1;
  }

  /** Starts the refresh that is due, or waits for the pending one. Never rejects: errors are in the state. */
  async #refresh(): Promise<void> {
    const now = this.#clock();
    if (this.#isDue(now)) {
      this.#pending = { until: now + this.#timeout + grace, outcome: this.#read() };
      await this.#pending.outcome;
      return;
    }
    const pending = this.#pending;
    if (!pending || (await within(pending.until - now, pending.outcome))) return;
    if (this.#pending === pending) this.#abandon();
    return this.#refresh();
  }

  async #read(): Promise<true> {
    const run = this.#run;
    try {
      const text = await observe(
        channels.keys,
        () => this.#download(),
        (error) => ({ appId: this.#appId, outcome: error === undefined ? 'fetched' : 'failed' }),
      );
      // The same text is the same key set: verified tokens stay verified.
      const set = text === this.#text ? this.#set : await readKeySet(JSON.parse(text));
      if (this.#isLate(run)) return true;
      this.#set = set;
      this.#text = text;
      this.#confirmedAt = this.#clock();
      this.#nextFetchAt = this.#confirmedAt + cooldown;
      this.#failures = 0;
      this.#cause = undefined;
    } catch (cause) {
      if (this.#isLate(run)) return true;
      this.#failures += 1;
      this.#cause = cause;
      this.#nextFetchAt = this.#clock() + (this.#set ? cooldown : backoff(this.#failures));
    }
    this.#pending = undefined;
    return true;
  }

  /** Whether a refresh was given up before it ended. As it did end, work in the background does not die here. */
  #isLate(run: number): boolean {
    if (this.#run === run) return false;
    this.#abandoned = false;
    return true;
  }

  /** Downloads the key set, a second time within the same timeout if the connection is reset. */
  #download(): Promise<string> {
    const end = performance.now() + this.#timeout;
    const attempt = async (limit: number) => {
      const response = await this.#fetch(this.#url, { headers: { accept: 'application/json' } }, limit);
      if (response.status !== 200) throw new Error('The response is not 200');
      return response.text();
    };
    return attempt(this.#timeout).catch((error) => {
      const left = end - performance.now();
      if (left <= 0 || !isReset(error)) throw error;
      return attempt(left);
    });
  }
}

/** Whether the peer closed the connection, as it does with a pooled one that was idle for too long. */
function isReset(error: unknown): boolean {
  const { code, cause, message } = Object(error) as { code?: unknown; cause?: unknown; message?: unknown };
  const named = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'ConnectionClosed'].includes(String(code));
  // Workers and Deno have no codes.
  return (
    named ||
    /connection (?:was )?(?:lost|reset|closed)/i.test(String(message)) ||
    (cause !== undefined && isReset(cause))
  );
}

/** Wait after the nth failure in a row while there are no keys: 1, 2, 4, … 30 seconds, less a random part of up to half. */
function backoff(failures: number): number {
  return Math.min(second * 2 ** (failures - 1), cooldown) * (1 - Math.random() / 2);
}

/** Reads the keys of a set that tokens may be signed with. @internal */
export async function readKeySet(jwks: JsonWebKeySet): Promise<KeySet> {
  const find = createLocalJWKSet(jwks as Parameters<typeof createLocalJWKSet>[0]);
  const keys = new Map<string, CheckSignature>();
  for (const { kid } of jwks.keys) {
    if (typeof kid !== 'string' || kid === '') continue;
    // jose honors `kty`, `use`, `alg` and `key_ops`; what it refuses, and a `kid` listed twice, cannot verify anything.
    const key = await find({ alg: 'RS256', kid }).catch(() => undefined);
    if (key && isStrong(key.algorithm as RsaHashedKeyAlgorithm)) keys.set(kid, createSignatureCheck(key));
  }
  return keys;
}

function isStrong({ modulusLength, publicExponent }: RsaHashedKeyAlgorithm): boolean {
  // RFC 8017 §3.1: the exponent is at least 3. With 1, anybody can write signatures. Big-endian, maybe with zeros before it.
  const exponent = publicExponent.reduce((value, byte) => value * 256 + byte, 0);
  // RFC 7518 §3.3: 2048 bits or larger.
  return modulusLength >= 2048 && exponent >= 3;
}
