/**
 * The Passage server in memory, for tests of apps that use it.
 *
 * @module
 */
export type { Algorithm, CoseKey } from './algorithms.ts';
export { type AuthenticatorOptions, type Passkey, VirtualAuthenticator } from './authenticator.ts';
export { type CborValue, encodeCbor } from './cbor.ts';
export type {
  AssertionChanges,
  AssertionResponse,
  CeremonyChanges,
  CreationChanges,
  CreationOptions,
  CreationResponse,
  Flags,
  RequestOptions,
} from './ceremony.ts';
