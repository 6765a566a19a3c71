import { type CallApi, type CallOptions, createApi } from './api.ts';
import { PassageAuth } from './auth.ts';
import { BoundedCache } from './cache.ts';
import { createCheck } from './check.ts';
import { createUserLoader, type LoadedUser } from './loader.ts';
import type { PassageApp } from './models.ts';
import { type PassageOptions, resolveOptions } from './options.ts';
import { PassageUsers } from './users.ts';
import { createVerifier } from './verify.ts';
import { fromWire } from './wire.ts';

/** Options of a framework adapter: those of the client, or a client, and how to authenticate. */
export interface AdapterOptions extends PassageOptions {
  /** A client to use instead of making one; the other client options are then left aside. */
  passage?: Passage | undefined;
  /** Let requests without credentials pass. Bad credentials are refused all the same. Default is false. */
  optional?: boolean | undefined;
}

/** How many loaded users are remembered. */
const userCacheSize = 4096;

/**
 * Client of one Passage app: verifies its tokens, authenticates requests, and talks to its Management API.
 *
 * Make one and keep it: it holds the issuer's keys and what it has verified. Nothing is fetched before it is needed.
 *
 * @throws TypeError for an option that is missing or cannot be meant
 * @example
 * ```ts
 * const passage = new Passage({ appId: 'my-app', baseUrl: 'https://passage.example.com' });
 * const userId = await passage.auth.validateJwt(token);
 * ```
 */
export class Passage {
  readonly appId: string;
  /** Tokens, requests and magic links. */
  readonly auth: PassageAuth;
  /** Users, their passkeys and their sessions. */
  readonly user: PassageUsers;
  readonly #call: CallApi;
  readonly #check: (options?: CallOptions) => Promise<void>;

  constructor(options: PassageOptions = {}) {
    const resolved = resolveOptions(options);
    const cache = new BoundedCache<LoadedUser>(resolved.userCacheTtl > 0 ? userCacheSize : 0);
    this.appId = resolved.appId;
    this.#call = createApi(resolved);
    this.#check = createCheck(resolved, this.#call);
    this.user = new PassageUsers(this.#call, (userId) => cache.delete(userId));
    this.auth = new PassageAuth({
      options: resolved,
      verify: createVerifier(resolved),
      call: this.#call,
      load: createUserLoader(this.user, cache, resolved),
    });
  }

  /** Returns the client that an adapter's options hold, or a new one made from them. */
  static from(options: AdapterOptions = {}): Passage {
    return options.passage ?? new Passage(options);
  }

  /**
   * Asks for the issuer's keys and, with an API key, for the app, and throws an error that says what is wrong. For
   * start-up and health checks: nothing is taken from memory, and nothing is remembered.
   *
   * @throws TypeError when an option is wrong: there are no keys for this app, or the API does not know it
   * @throws {@link ApiError} with `apiStatus` 401 when the API refuses the API key
   * @throws {@link UnavailableError} when the keys or the API cannot be reached
   */
  check(options?: CallOptions): Promise<void> {
    return this.#check(options);
  }

  /**
   * Returns the settings of the app.
   *
   * @throws {@link ApiError} when the API refuses the call
   * @throws {@link UnavailableError} when the API cannot be reached
   */
  async app(options?: CallOptions): Promise<PassageApp> {
    return fromWire(await this.#call('GET', [], { ...options, envelope: 'app' })) as PassageApp;
  }
}
