import { type CallApi, type CallOptions, createApi } from './api.ts';
import { checkBoolean, internalCheckNames } from './arguments.ts';
import { type Authorize, PassageAuth } from './auth.ts';
import { BoundedCache } from './cache.ts';
import { createCheck } from './check.ts';
import { channels, codeOf, observe } from './events.ts';
import { createUserLoader, type LoadedUser } from './loader.ts';
import type { PassageApp } from './models.ts';
import { optionNames, type PassageOptions, resolveOptions } from './options.ts';
import { PassageUsers } from './users.ts';
import { createVerifier } from './verify.ts';
import { fromWire } from './wire.ts';

/** How a route is protected. */
export interface RouteOptions {
  /** Accept requests without credentials. Invalid credentials are still refused. Default is false. */
  optional?: boolean | undefined;
  /** Load the user, and refuse deleted and deactivated ones. Default is the client's `loadUser`. */
  loadUser?: boolean | undefined;
  /**
   * Decides whether the caller may go on: anything but `true` is a 403, and errors it throws are passed on. Requests
   * without credentials are then refused, even with `optional`. Default is to allow every authenticated caller.
   */
  authorize?: Authorize | undefined;
}

/** Options of a framework adapter: those of the client, or a client, and how routes are protected. */
export interface AdapterOptions extends PassageOptions, RouteOptions {
  /** A client to reuse; other client options are then ignored. */
  passage?: Passage | undefined;
}

const routeNames = { optional: true, loadUser: true, authorize: true } satisfies Record<
  keyof RouteOptions,
  true
>;

/** @throws TypeError that names the option which is unknown or invalid @internal */
export function internalCheckRoute(options: RouteOptions): void {
  internalCheckNames(options, routeNames);
  checkRoute(options);
}

function checkRoute({ optional, loadUser, authorize }: RouteOptions): void {
  checkBoolean('optional', optional);
  checkBoolean('loadUser', loadUser);
  if (authorize !== undefined && typeof authorize !== 'function') {
    throw new TypeError('"authorize" option must be a function');
  }
}

function clientOptionsOf(options: AdapterOptions): PassageOptions {
  return Object.fromEntries(Object.entries(options).filter(([name]) => Object.hasOwn(optionNames, name)));
}

function observed(appId: string, call: CallApi): CallApi {
  return (method, path, details) =>
    observe(
      channels.api,
      () => call(method, path, details),
      (error) => ({
        appId,
        method,
        outcome: error === undefined ? 'succeeded' : 'failed',
        reason: codeOf(error),
      }),
    ) as Promise<object>;
}

/** How many loaded users are cached. */
const userCacheSize = 4096;

/**
 * Client of one Passage app: verifies its tokens, authenticates requests, and calls its Management API.
 *
 * Create one and reuse it: it caches the issuer's keys, verified tokens and users. Nothing is fetched before it is needed.
 *
 * @throws TypeError if an option is missing, unknown or invalid
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
    this.#call = observed(resolved.appId, createApi(resolved));
    this.#check = createCheck(resolved, this.#call);
    this.user = new PassageUsers(this.#call, (userId) => cache.delete(userId));
    this.auth = new PassageAuth({
      options: resolved,
      verify: createVerifier(resolved),
      call: this.#call,
      load: createUserLoader(this.user, cache, resolved),
    });
  }

  /**
   * Returns the client in the options of an adapter, or a new one created from them.
   *
   * @param others Names of options that the adapter reads itself.
   * @throws TypeError if an option is missing, unknown or invalid
   */
  static from(options: AdapterOptions = {}, ...others: string[]): Passage {
    const own = Object.fromEntries(others.map((name) => [name, true]));
    internalCheckNames(options, { ...optionNames, ...routeNames, passage: true, ...own });
    checkRoute(options);
    const { passage } = options;
    if (passage === undefined) return new Passage(clientOptionsOf(options));
    // Not `instanceof`: it may come from another copy of this package.
    if (typeof passage.auth?.authenticate !== 'function') {
      throw new TypeError('"passage" option must be a Passage client');
    }
    return passage;
  }

  /**
   * Requests the issuer's keys and, with an API key, the app, and throws an error that says what is wrong. For
   * startup and health checks: it neither reads nor fills the caches.
   *
   * @throws TypeError if an option is wrong: the issuer has no keys for this app, or the API does not know the app
   * @throws {@link ApiError} with `apiStatus` 401 if the API refuses the API key
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
