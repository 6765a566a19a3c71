/**
 * The Passage server in memory, for tests of apps that use it.
 *
 * @module @passage-auth/testing
 */
export type { Algorithm, CoseKey } from './algorithms.ts';
export { RefusedError, type Session } from './authapi.ts';
export { type AuthenticatorOptions, VirtualAuthenticator } from './authenticator.ts';
export { type CborValue, encodeCbor } from './cbor.ts';
export type {
  AssertionChanges,
  AssertionResponse,
  CeremonyChanges,
  CreationChanges,
  CreationOptions,
  CreationResponse,
  Flags,
  Passkey,
  RequestOptions,
} from './ceremony.ts';
export type { Duration } from './clock.ts';
export type { Device } from './device.ts';
export type { BadToken } from './gallery.ts';
export type { TestPassage } from './passage.ts';
export { type StartOptions, startPassage } from './start.ts';
export type { Fault, FaultKind, Target } from './traffic.ts';
