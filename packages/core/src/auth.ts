import type { CallApi } from './api.ts';
import { type Awaitable, chain } from './awaitable.ts';
import { ForbiddenError, UnauthenticatedError } from './errors.ts';
import { channels, observe, outcomeOf } from './events.ts';
import { findToken } from './headers.ts';
import type { LoadUser } from './loader.ts';
import { type CreateMagicLinkArgs, createMagicLink, type MagicLinkOptions } from './magiclink.ts';
import type { MagicLink } from './models.ts';
import {
  type AuthenticateOptions,
  checkAuthenticateOptions,
  type RequestHeaders,
  type ResolvedOptions,
} from './options.ts';
import { Principal } from './principal.ts';
import type { PassageClaims } from './token.ts';
import type { VerifyToken } from './verify.ts';

/** Decides whether a caller may go on. Only `true` allows; errors it throws or rejects with are passed on unchanged. */
export type Authorize = (principal: Principal) => boolean | Promise<boolean>;

/** How an adapter authenticates a request: all of `authorize` must allow it. @internal */
export interface InternalOptions extends AuthenticateOptions {
  authorize?: readonly Authorize[] | undefined;
}

/** What the parts of a client share. @internal */
export interface AuthParts {
  readonly options: ResolvedOptions;
  readonly verify: VerifyToken;
  readonly call: CallApi;
  readonly load: LoadUser;
}

let find: (
  auth: PassageAuth,
  headers: RequestHeaders | null | undefined,
  options: AuthenticateOptions,
) => Awaitable<Principal | undefined>;

/** Tokens, requests and magic links of an app. */
export class PassageAuth {
  readonly #parts: AuthParts;

  static {
    find = (auth, headers, options) => auth.#find(headers, options);
  }

  /** @internal */
  constructor(parts: AuthParts) {
    this.#parts = parts;
  }

  /**
   * Verifies an access token and returns the ID of its user, as the official SDKs do.
   *
   * Checked and not checked: as in {@link verifyToken}.
   *
   * @throws {@link InvalidTokenError} if the token is refused
   * @throws {@link UnavailableError} if the issuer's keys are unavailable
   */
  async validateJwt(token: string): Promise<string> {
    return (await this.verifyToken(token)).sub;
  }

  /**
   * Verifies an access token and returns its claims.
   *
   * Checked: the form, RS256 only, `kid`, the signature, `iss`, `aud`, `exp`, `nbf`, `sub`. Not checked:
   * whether the user still exists, is active, or has signed out, and `iat` and `jti`.
   *
   * @throws {@link InvalidTokenError} if the token is refused
   * @throws {@link UnavailableError} if the issuer's keys are unavailable
   * @see RFC 7519 §7.2, RFC 8725 §3, docs/protocol.md §10.1
   */
  async verifyToken(token: string): Promise<PassageClaims> {
    return this.#parts.verify(token);
  }

  /**
   * Authenticates a request by its headers.
   *
   * Checked: the credentials' form, the token, and with `loadUser` that the user exists and is not deactivated. Not
   * checked: what the user may do.
   *
   * @returns `undefined` only with `optional`, if the request has no credentials
   * @throws {@link UnauthenticatedError} if the request has no credentials
   * @throws {@link InvalidRequestError} if the credentials are malformed or sent twice, or the cookie comes from another origin
   * @throws {@link InvalidTokenError} if the token is refused
   * @throws {@link UserInactiveError} if the user is deactivated
   * @throws {@link UnavailableError} if the keys or the API are unavailable
   * @throws {@link ApiError} if the API refuses the API key
   * @see RFC 6750 §2.1 and §3.1
   */
  authenticate(
    headers: RequestHeaders | null | undefined,
    options?: AuthenticateOptions & { optional?: false | undefined },
  ): Promise<Principal>;
  authenticate(
    headers: RequestHeaders | null | undefined,
    options?: AuthenticateOptions,
  ): Promise<Principal | undefined>;
  authenticate(
    headers: RequestHeaders | null | undefined,
    options: AuthenticateOptions = {},
  ): Promise<Principal | undefined> {
    return new Promise((resolve) => {
      checkAuthenticateOptions(options);
      resolve(this.#find(headers, options));
    });
  }

  #find(
    headers: RequestHeaders | null | undefined,
    options: AuthenticateOptions,
  ): Awaitable<Principal | undefined> {
    return observe(
      channels.authenticate,
      () => this.#read(headers, options),
      (error, principal) => ({ appId: this.#parts.options.appId, ...outcomeOf(error, principal) }),
    );
  }

  #read(
    headers: RequestHeaders | null | undefined,
    options: AuthenticateOptions,
  ): Awaitable<Principal | undefined> {
    const { options: client, verify, load } = this.#parts;
    const token = findToken(headers, options, client);
    if (token === undefined) {
      if (options.optional === true) return undefined;
      throw new UnauthenticatedError();
    }
    return chain(verify(token), (claims) => {
      if (!(options.loadUser ?? client.loadUser)) return new Principal(token, claims, load);
      return chain(load(claims.sub), (user) => new Principal(token, claims, load, user));
    });
  }

  /**
   * Creates a magic link, which logs its user in or proves an identifier. The server creates the user if the email
   * address or phone number is unknown.
   *
   * @throws {@link ApiError} if the API refuses the call
   * @throws {@link UnavailableError} if the API is unavailable; the link may have been created
   * @throws TypeError if an argument is invalid
   * @see docs/protocol.md §6.4
   */
  createMagicLink(args: CreateMagicLinkArgs, options: MagicLinkOptions = {}): Promise<MagicLink> {
    return createMagicLink(this.#parts.call, args, options);
  }
}

/**
 * Authenticates a request as {@link PassageAuth.authenticate} does, and asks `authorize`, for the adapters of this project.
 *
 * Returns the outcome, or throws, at once if token and user are in memory, which saves the request a turn of the event
 * loop.
 *
 * @internal
 */
export function internalAuthenticate(
  { auth }: { readonly auth: PassageAuth },
  headers: RequestHeaders | null | undefined,
  options: InternalOptions,
): Awaitable<Principal | undefined> {
  const { authorize } = options;
  const caller = findCaller(auth, headers, options);
  return authorize?.length ? chain(caller, (principal) => requireAllowed(principal, authorize)) : caller;
}

function findCaller(
  auth: PassageAuth,
  headers: RequestHeaders | null | undefined,
  options: InternalOptions,
): Awaitable<Principal | undefined> {
  if (auth.authenticate === PassageAuth.prototype.authenticate) return find(auth, headers, options);
  // A client may come from another copy of this package, or have its method replaced by a test.
  const { authorize, ...how } = options;
  return auth.authenticate(headers, how);
}

function requireAllowed(
  principal: Principal | undefined,
  checks: readonly Authorize[],
): Awaitable<Principal> {
  // Optional authentication lets guests pass, but nobody can say what a guest may do.
  if (!principal) throw new UnauthenticatedError();
  return checks.reduce<Awaitable<Principal>>(
    (before, check) => chain(before, () => chain<boolean, Principal>(check(principal), requireTrue)),
    principal,
  );

  function requireTrue(allowed: boolean): Principal {
    if (allowed !== true) throw new ForbiddenError();
    return principal as Principal;
  }
}
