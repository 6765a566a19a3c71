/**
 * The errors that answer a request. Each is a complete HTTP response: status, headers and a body with constant texts,
 * so a framework's own error handler can render it.
 *
 * @module
 */

/** Stable error codes. Switch on these only: messages may change. */
export type PassageErrorCode =
  | 'ERR_PASSAGE_UNAUTHENTICATED'
  | 'ERR_PASSAGE_INVALID_REQUEST'
  | 'ERR_PASSAGE_INVALID_TOKEN'
  | 'ERR_PASSAGE_USER_INACTIVE'
  | 'ERR_PASSAGE_FORBIDDEN'
  | 'ERR_PASSAGE_UNAVAILABLE'
  | 'ERR_PASSAGE_API';

/** Why a token was refused. A client can refresh an `expired` token; the other reasons need a new login. */
export type TokenRejection = 'malformed' | 'algorithm' | 'key' | 'signature' | 'expired' | 'claim' | 'user';

// A registered symbol: ES module, CommonJS and duplicate installs of this package recognize each other's errors.
const brand = Symbol.for('@passage-auth/core/PassageError');

/** Base of the errors that answer a request. Programming errors are `TypeError`s instead. */
export abstract class PassageError extends Error {
  abstract readonly code: PassageErrorCode;
  /** HTTP status of the response. */
  abstract readonly status: number;
  /** Headers of the response. */
  readonly headers: Readonly<Record<string, string>> = {};

  static {
    // Defined once, not on each error: refusing junk must cost next to nothing.
    Object.defineProperty(PassageError.prototype, brand, { value: true });
  }

  /** The same as `status`, by the name that Fastify, Koa and `http-errors` read. */
  get statusCode(): number {
    return this.status;
  }

  /** Whether the message is meant for the client: true below 500 (`http-errors`, Koa). */
  get expose(): boolean {
    return this.status < 500;
  }

  /** The body of the answer, in the envelope of the Passage APIs (docs/protocol.md §3.1). */
  toJSON(): { code: PassageErrorCode; error: string } {
    return { code: this.code, error: this.message };
  }

  /** The complete response, as Hono's default error handler expects it. */
  getResponse(): Response {
    return Response.json(this.toJSON(), { status: this.status, headers: this.headers });
  }
}

/**
 * Base of the errors that refuse a request. They are answers, not accidents, so they have no stack: capturing one takes
 * longer than all the checks of a bad token.
 */
abstract class Refusal extends PassageError {
  constructor(message: string, options?: ErrorOptions) {
    const limit: unknown = Reflect.get(Error, 'stackTraceLimit');
    // Not an assignment: it throws if the host has frozen `Error`.
    Reflect.set(Error, 'stackTraceLimit', 0);
    super(message, options);
    Reflect.set(Error, 'stackTraceLimit', limit);
  }
}

/** The request carries no credentials (RFC 6750 §3.1: a challenge without an error code). */
export class UnauthenticatedError extends Refusal {
  override get name() {
    return 'UnauthenticatedError';
  }
  readonly code = 'ERR_PASSAGE_UNAUTHENTICATED';
  readonly status = 401;
  override readonly headers = { 'WWW-Authenticate': 'Bearer' };

  constructor(options?: ErrorOptions) {
    super('Authentication is required', options);
  }
}

const requestDescriptions = {
  header: 'The Authorization header must be sent once, as "Bearer <token>"',
  cookie: 'The cookie must be sent once',
  origin: 'The cookie is only accepted from the same origin',
} as const;

/** The credentials are malformed, ambiguous, or come from another origin (RFC 6750 §3.1 `invalid_request`). */
export class InvalidRequestError extends Refusal {
  override get name() {
    return 'InvalidRequestError';
  }
  readonly code = 'ERR_PASSAGE_INVALID_REQUEST';
  readonly status = 400;
  override readonly headers = { 'WWW-Authenticate': 'Bearer error="invalid_request"' };

  /** @internal */
  constructor(problem: keyof typeof requestDescriptions, options?: ErrorOptions) {
    super(requestDescriptions[problem], options);
  }
}

const tokenDescriptions: Readonly<Record<TokenRejection, string>> = {
  malformed: 'The token is malformed',
  algorithm: 'The token must be signed with RS256',
  key: 'The token is signed with an unknown key',
  signature: 'The token signature is invalid',
  expired: 'The token has expired',
  claim: 'A claim of the token is missing or invalid',
  user: 'The user of the token no longer exists',
};

/** A claim that a token can be refused for. */
export type TokenClaim = 'iss' | 'aud' | 'sub' | 'exp' | 'nbf';

/** What a claim should have been, and what it was. */
export interface ClaimMismatch {
  /** The accepted values. */
  readonly expected: readonly string[];
  /** The claim of the token, which nobody has verified: anyone may have written it. */
  readonly received: unknown;
}

/** Details of a refused token. */
export interface InvalidTokenErrorOptions extends ErrorOptions {
  /** The claim that was refused. */
  claim?: TokenClaim | undefined;
  /** What the claim should have been, and what it was. */
  mismatch?: ClaimMismatch | undefined;
}

/** A token was presented and refused (RFC 6750 §3.1 `invalid_token`). */
export class InvalidTokenError extends Refusal {
  override get name() {
    return 'InvalidTokenError';
  }
  readonly code = 'ERR_PASSAGE_INVALID_TOKEN';
  readonly status = 401;
  readonly reason: TokenRejection;
  /** The refused claim if `reason` is `claim` or `expired`. */
  readonly claim: TokenClaim | undefined;
  override readonly headers: Readonly<Record<string, string>>;
  readonly #mismatch: ClaimMismatch | undefined;

  constructor(reason: TokenRejection, options?: InvalidTokenErrorOptions) {
    super(tokenDescriptions[reason], options);
    this.reason = reason;
    this.claim = options?.claim;
    // Fixed text only: nothing from the token may reach a header.
    this.headers = {
      'WWW-Authenticate': `Bearer error="invalid_token", error_description="${tokenDescriptions[reason]}"`,
    };
    this.#mismatch = options?.mismatch;
  }

  /**
   * The accepted and the received value if `claim` is `iss` or `aud`, to find a wrong setting with. Loggers and
   * serializers do not print it; do not send it to clients.
   */
  get mismatch(): ClaimMismatch | undefined {
    return this.#mismatch;
  }
}

/** The token is valid, but its user is deactivated. */
export class UserInactiveError extends Refusal {
  override get name() {
    return 'UserInactiveError';
  }
  readonly code = 'ERR_PASSAGE_USER_INACTIVE';
  readonly status = 403;

  constructor(options?: ErrorOptions) {
    super('The user is deactivated', options);
  }
}

/**
 * The caller is known, but `authorize` returned false.
 *
 * Without `WWW-Authenticate`: `insufficient_scope` (RFC 6750 §3.1) asks for a token with more rights, but no other
 * Passage token has more.
 */
export class ForbiddenError extends PassageError {
  override readonly name = 'ForbiddenError';
  readonly code = 'ERR_PASSAGE_FORBIDDEN';
  readonly status = 403;

  constructor(options?: ErrorOptions) {
    super('The user is not allowed to do this', options);
  }
}

const unavailableDescriptions = {
  keys: 'The keys of the token issuer are temporarily unavailable',
  api: 'The Passage API is temporarily unavailable',
} as const;

/** The keys or the API are unavailable, so it is unknown whether the request is allowed. Never a refusal. */
export class UnavailableError extends PassageError {
  override get name() {
    return 'UnavailableError';
  }
  readonly code = 'ERR_PASSAGE_UNAVAILABLE';
  readonly status = 503;
  /** When to try again, in seconds; also sent as `Retry-After`. */
  readonly retryAfter: number;
  override readonly headers: Readonly<Record<string, string>>;

  /** @internal */
  constructor(what: keyof typeof unavailableDescriptions, retryAfter: number, options?: ErrorOptions) {
    super(unavailableDescriptions[what], options);
    this.retryAfter = Math.max(1, Math.ceil(retryAfter));
    this.headers = { 'Retry-After': String(this.retryAfter) };
  }
}

function describeAnswer(apiStatus: number): string {
  if (apiStatus < 300) return 'The response of the Passage API is invalid';
  if (apiStatus === 401) return 'The Passage API refused the API key: check PASSAGE_API_KEY or "apiKey"';
  return 'The Passage API refused the call';
}

/**
 * The Management API refused a call, or its response is invalid.
 *
 * It answers a request with 502, because an API that refuses our key must never look like a refusal of the user.
 */
export class ApiError extends PassageError {
  override get name() {
    return 'ApiError';
  }
  readonly code = 'ERR_PASSAGE_API';
  readonly status = 502;
  /** HTTP status of the API's response. */
  readonly apiStatus: number;
  /** The API's own code, for example `user_not_found`; `undefined` if the response did not come from the Passage API. */
  readonly apiCode: string | undefined;
  /** The API's own text; `undefined` like `apiCode`. */
  readonly apiMessage: string | undefined;

  /** @internal */
  constructor(apiStatus: number, apiCode?: string | undefined, apiMessage?: string | undefined) {
    super(describeAnswer(apiStatus));
    this.apiStatus = apiStatus;
    this.apiCode = apiCode;
    this.apiMessage = apiMessage;
  }
}

/** Returns whether a value is an error of this library, including other copies of the package. */
export function isPassageError(value: unknown): value is PassageError {
  return value instanceof Error && brand in value;
}
