import type { KeyObject } from 'node:crypto';
import type { Algorithm, CoseKey, KeyPair } from './algorithms.ts';
import type { CborValue } from './cbor.ts';

/** A credential kept by a {@link VirtualAuthenticator}. */
export interface Passkey {
  /** Credential ID, base64url. */
  readonly id: string;
  readonly rpId: string;
  /** `user.id` of the registration, base64url. */
  readonly userHandle: string;
  readonly userName: string;
  readonly algorithm: Algorithm;
  readonly discoverable: boolean;
  readonly privateKey: KeyObject;
  /** Signatures counted so far. A test may set it, as a clone of the device would. */
  counter: number;
}

/** `publicKey` options of a registration, as the Auth API sends them. */
export interface CreationOptions {
  challenge: string;
  rp: { id?: string | undefined; name: string };
  user: { id: string; name: string; displayName: string };
  pubKeyCredParams: readonly { alg: number; type: string }[];
  excludeCredentials?: readonly { id: string }[] | undefined;
  authenticatorSelection?:
    | {
        authenticatorAttachment?: string | undefined;
        residentKey?: string | undefined;
        requireResidentKey?: boolean | undefined;
        userVerification?: string | undefined;
      }
    | undefined;
}

/** `publicKey` options of a login, as the Auth API sends them. */
export interface RequestOptions {
  challenge: string;
  rpId?: string | undefined;
  allowCredentials?: readonly { id: string }[] | undefined;
  userVerification?: string | undefined;
}

/** `handshake_response` of a registration, as Passage.js sends it. */
export interface CreationResponse {
  id: string;
  rawId: string;
  type: 'public-key';
  response: { attestationObject: string; clientDataJSON: string };
  transports: string[];
}

/** `handshake_response` of a login, as Passage.js sends it. */
export interface AssertionResponse {
  id: string;
  rawId: string;
  type: 'public-key';
  response: { authenticatorData: string; clientDataJSON: string; signature: string; userHandle: string };
}

/** Bits of the authenticator data: user present, user verified, backup eligible, backed up, attested data, extensions. */
export interface Flags {
  up: boolean;
  uv: boolean;
  be: boolean;
  bs: boolean;
  at: boolean;
  ed: boolean;
}

/**
 * What to get wrong in an answer that would otherwise be good.
 *
 * Whatever precedes the signature is signed as changed, so that only the named thing is wrong.
 */
export interface CeremonyChanges {
  /** Members of the client data to replace, or to leave out when `undefined`: `type`, `challenge`, `origin`, `crossOrigin`, `topOrigin`. */
  clientData?: Readonly<Record<string, unknown>> | undefined;
  /** RP ID whose hash is sent. */
  rpId?: string | undefined;
  /** Flags to set or clear. */
  flags?: Partial<Flags> | undefined;
  /** Signature counter sent. */
  counter?: number | undefined;
  /** Authenticator data in place of the right ones. */
  authenticatorData?: ((bytes: Buffer) => Uint8Array) | undefined;
  /** Signature in place of the right one. */
  signature?: ((bytes: Buffer) => Uint8Array) | undefined;
}

/** What to get wrong in a registration. */
export interface CreationChanges extends CeremonyChanges {
  /** Algorithm used, offered or not. */
  algorithm?: Algorithm | undefined;
  /** Key pair used in place of a new one. It has to suit the algorithm. */
  keyPair?: KeyPair | undefined;
  /** Credential ID used in place of a random one. */
  credentialId?: Uint8Array | undefined;
  /** Public key in the attested data, or the bytes that stand for it. */
  coseKey?: ((key: CoseKey) => CoseKey | Uint8Array) | undefined;
  /** Attestation format named, whatever the statement is. */
  format?: string | undefined;
  /** Attestation statement in place of the right one. */
  statement?: ((statement: Map<string, CborValue>) => CborValue) | undefined;
  /** Attestation object in place of the right one. */
  attestationObject?: ((bytes: Buffer) => Uint8Array) | undefined;
  /** The finished answer, to change as a whole. */
  answer?: ((answer: CreationResponse) => CreationResponse) | undefined;
}

/** What to get wrong in a login. */
export interface AssertionChanges extends CeremonyChanges {
  /** Passkey that answers, asked for or not. */
  passkey?: Passkey | undefined;
  /** User handle sent; empty for none. */
  userHandle?: string | undefined;
  /** The finished answer, to change as a whole. */
  answer?: ((answer: AssertionResponse) => AssertionResponse) | undefined;
}
