import { type Answer, json } from './answer.ts';

/** Every error code of the wire protocol that this server sends, and `too_many_requests`, for which the protocol has none. */
export type ErrorCode =
  | 'invalid_request'
  | 'invalid_access_token'
  | 'invalid_magic_link'
  | 'invalid_refresh_token'
  | 'exceeded_attempts'
  | 'discoverable_login_failed'
  | 'webauthn_login_failed'
  | 'identifier_not_verified'
  | 'operation_not_allowed'
  | 'user_not_active'
  | 'app_not_found'
  | 'user_not_found'
  | 'device_not_found'
  | 'magic_link_not_found'
  | 'social_connection_not_found'
  | 'transaction_not_found'
  | 'not_found'
  | 'user_has_no_passkeys'
  | 'too_many_requests'
  | 'service_unavailable'
  | 'internal_server_error';

const table: Record<ErrorCode, readonly [status: number, text: string]> = {
  invalid_request: [400, 'The request is malformed'],
  invalid_access_token: [401, 'Invalid access token'],
  invalid_magic_link: [401, 'Invalid magic link'],
  invalid_refresh_token: [401, 'Invalid refresh token'],
  exceeded_attempts: [401, 'The code has exceeded number of attempts'],
  discoverable_login_failed: [401, 'Login failed'],
  webauthn_login_failed: [401, 'Login failed'],
  identifier_not_verified: [403, 'Identifier is not verified'],
  operation_not_allowed: [403, 'Operation is not allowed'],
  user_not_active: [403, 'User is not active'],
  app_not_found: [404, 'App not found'],
  user_not_found: [404, 'User not found'],
  device_not_found: [404, 'Device not found'],
  magic_link_not_found: [404, 'Magic link not found'],
  social_connection_not_found: [404, 'Social connection not found'],
  transaction_not_found: [404, 'Transaction not found'],
  not_found: [404, 'Not found'],
  user_has_no_passkeys: [409, 'User has no passkeys'],
  too_many_requests: [429, 'Too many requests'],
  service_unavailable: [503, 'The service is not available'],
  internal_server_error: [500, 'Internal server error'],
};

/** No app has this ID. */
export class AppNotFoundError extends Error {
  override readonly name = 'AppNotFoundError';
  readonly code = 'ERR_PASSAGE_APP_NOT_FOUND';

  constructor() {
    super('No app has this ID');
  }
}

/** The ID of a new app is taken. */
export class AppExistsError extends Error {
  override readonly name = 'AppExistsError';
  readonly code = 'ERR_PASSAGE_APP_EXISTS';

  constructor() {
    super('Another app has this ID');
  }
}

/** The app has no API key with this ID. */
export class ApiKeyNotFoundError extends Error {
  override readonly name = 'ApiKeyNotFoundError';
  readonly code = 'ERR_PASSAGE_API_KEY_NOT_FOUND';

  constructor() {
    super('The app has no API key with this ID');
  }
}

/** The app publishes no signing key with this ID. */
export class SigningKeyNotFoundError extends Error {
  override readonly name = 'SigningKeyNotFoundError';
  readonly code = 'ERR_PASSAGE_SIGNING_KEY_NOT_FOUND';

  constructor() {
    super('The app has no signing key with this ID');
  }
}

/** The only signing key of an app cannot be revoked. */
export class LastSigningKeyError extends Error {
  override readonly name = 'LastSigningKeyError';
  readonly code = 'ERR_PASSAGE_LAST_SIGNING_KEY';

  constructor() {
    super('The only signing key of an app cannot be revoked: rotate it first');
  }
}

/** A refusal, as the client gets it. Its text is constant and contains nothing that the caller sent. */
export class WireError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  /** Seconds until it is worth trying again, for 429 and 503. */
  readonly retryAfter: number | undefined;

  constructor(
    code: ErrorCode,
    text?: string,
    options: { retryAfter?: number; status?: number; cause?: unknown } = {},
  ) {
    const [status, standard] = table[code];
    super(text ?? standard, { cause: options.cause });
    this.code = code;
    this.status = options.status ?? status;
    this.retryAfter = options.retryAfter;
  }

  toAnswer(): Answer {
    return json({ code: this.code, error: this.message }, this.status, {
      ...(this.retryAfter !== undefined && { 'Retry-After': String(this.retryAfter) }),
      // RFC 9110 §11.6.1: a 401 names the scheme.
      ...(this.status === 401 && { 'WWW-Authenticate': 'Bearer' }),
    });
  }
}
