/**
 * Every error this library answers a request with. Each one already is an HTTP answer: status, headers and a body
 * with constant texts, so that a framework's own error handler can render it.
 *
 * @module
 */

/** The stable identifiers of errors: the only thing to switch on. Messages may change. */
export type PassageErrorCode =
  | 'ERR_PASSAGE_UNAUTHENTICATED'
  | 'ERR_PASSAGE_INVALID_REQUEST'
  | 'ERR_PASSAGE_INVALID_TOKEN'
  | 'ERR_PASSAGE_USER_INACTIVE'
  | 'ERR_PASSAGE_UNAVAILABLE'
  | 'ERR_PASSAGE_API';

/** Why a token was refused. A client can act on `expired` by refreshing; the others need a new login. */
export type TokenRejection = 'malformed' | 'algorithm' | 'key' | 'signature' | 'expired' | 'claim' | 'user';

// A registered symbol: ES module, CommonJS and duplicate installs of this package recognize each other's errors.
const brand = Symbol.for('@passage-auth/core/PassageError');

/** Base of all errors that answer a request. Programmer errors are `TypeError`s and not part of it. */
export abstract class PassageError extends Error {
  abstract readonly code: PassageErrorCode;
  /** HTTP status of the answer. */
  abstract readonly status: number;
  /** Headers the answer must carry. */
  readonly headers: Readonly<Record<string, string>> = {};

  static {
    // Once, and not on each error: refusing junk is to cost next to nothing.
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

  /** The whole answer as a Fetch `Response`, as Hono's default error handler asks for it. */
  getResponse(): Response {
    return Response.json(this.toJSON(), { status: this.status, headers: this.headers });
  }
}

/** The request carries no credentials (RFC 6750 §3.1: a challenge without an error code). */
export class UnauthenticatedError extends PassageError {
  override readonly name = 'UnauthenticatedError';
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

/** The credentials are malformed, ambiguous, or sent from where they are not accepted (RFC 6750 §3.1 `invalid_request`). */
export class InvalidRequestError extends PassageError {
  override readonly name = 'InvalidRequestError';
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
  signature: 'The signature of the token is wrong',
  expired: 'The token has expired',
  claim: 'A claim of the token is missing or not accepted',
  user: 'The user of the token no longer exists',
};

/** A token was presented and refused (RFC 6750 §3.1 `invalid_token`). */
export class InvalidTokenError extends PassageError {
  override readonly name = 'InvalidTokenError';
  readonly code = 'ERR_PASSAGE_INVALID_TOKEN';
  readonly status = 401;
  readonly reason: TokenRejection;
  override readonly headers: Readonly<Record<string, string>>;

  constructor(reason: TokenRejection, options?: ErrorOptions) {
    super(tokenDescriptions[reason], options);
    this.reason = reason;
    // Fixed text only: nothing from the token may reach a header.
    this.headers = {
      'WWW-Authenticate': `Bearer error="invalid_token", error_description="${tokenDescriptions[reason]}"`,
    };
  }
}

/** The token is good, but its user was deactivated. */
export class UserInactiveError extends PassageError {
  override readonly name = 'UserInactiveError';
  readonly code = 'ERR_PASSAGE_USER_INACTIVE';
  readonly status = 403;

  constructor(options?: ErrorOptions) {
    super('The user is deactivated', options);
  }
}

const unavailableDescriptions = {
  keys: 'The keys of the token issuer cannot be read at the moment',
  api: 'The Passage API cannot be reached at the moment',
} as const;

/** Whether the request is allowed cannot be told at the moment: the keys or the API are out of reach. Never a refusal. */
export class UnavailableError extends PassageError {
  override readonly name = 'UnavailableError';
  readonly code = 'ERR_PASSAGE_UNAVAILABLE';
  readonly status = 503;
  /** Seconds after which a new try makes sense; also sent as `Retry-After`. */
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
  if (apiStatus < 300) return 'The answer of the Passage API cannot be read';
  if (apiStatus === 401) return 'The Passage API refused the API key: check PASSAGE_API_KEY or "apiKey"';
  return 'The Passage API refused the call';
}

/**
 * The Management API refused a call, or answered something that cannot be read.
 *
 * As an answer to a request it is a 502: that the API refuses our key must never look like a refusal of the user.
 */
export class ApiError extends PassageError {
  override readonly name = 'ApiError';
  readonly code = 'ERR_PASSAGE_API';
  readonly status = 502;
  /** HTTP status of the API's answer. */
  readonly apiStatus: number;
  /** The API's own code, for example `user_not_found`; `undefined` when the answer was not one of the Passage API. */
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

/** Tells whether a value is an error of this library, whichever copy of the package made it. */
export function isPassageError(value: unknown): value is PassageError {
  return value instanceof Error && brand in value;
}
