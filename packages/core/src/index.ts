/**
 * Verifies Passage tokens, authenticates requests and talks to the Management API. No framework, no `node:` import.
 *
 * @module @passage-auth/core
 */
export type { CallOptions } from './api.ts';
export { internalCheckNames } from './arguments.ts';
export { type Authorize, internalAuthenticate, type PassageAuth } from './auth.ts';
export { chain as internalChain, settle as internalSettle } from './awaitable.ts';
export {
  ApiError,
  type ClaimMismatch,
  ForbiddenError,
  InvalidRequestError,
  InvalidTokenError,
  type InvalidTokenErrorOptions,
  isPassageError,
  PassageError,
  type PassageErrorCode,
  type TokenClaim,
  type TokenRejection,
  UnauthenticatedError,
  UnavailableError,
  UserInactiveError,
} from './errors.ts';
export type { ApiEvent, AuthenticateEvent, KeysEvent } from './events.ts';
export { explainToken } from './explain.ts';
export { isPreflight } from './headers.ts';
export type {
  ListUsersQuery,
  RangeConditions,
  TextConditions,
  UserIterator,
  UserOrderField,
  UserPage,
} from './list.ts';
export type { CreateMagicLinkArgs, MagicLinkOptions } from './magiclink.ts';
export * from './models.ts';
export type {
  AuthenticateOptions,
  JsonWebKeySet,
  PassageOptions,
  RequestHeaders,
  TokenSource,
} from './options.ts';
export { type AdapterOptions, internalCheckRoute, Passage, type RouteOptions } from './passage.ts';
export { Principal, requirePrincipal } from './principal.ts';
export type { PassageClaims } from './token.ts';
export type { CreateUserArgs, PassageUsers, UpdateUserArgs } from './users.ts';
