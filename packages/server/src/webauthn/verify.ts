import { createPublicKey } from 'node:crypto';
import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server';
import {
  cose,
  decodeAttestationObject,
  decodeCredentialPublicKey,
  parseAuthenticatorData,
} from '@simplewebauthn/server/helpers';
import type { z } from 'zod';
import type { assertion, attestation } from '../http/schemas.ts';
import { CeremonyError, requireStrictCbor } from './cbor.ts';

export type Attestation = z.infer<typeof attestation>;
export type Assertion = z.infer<typeof assertion>;

/** Algorithms offered, best first: ES256, EdDSA, RS256. */
export const algorithms = [-7, -8, -257];

/** What an answer is held against. */
export interface Expectation {
  /** Says whether the challenge is the one that was sent. */
  challenge: (challenge: string) => boolean;
  origins: string[];
  rpId: string;
  userVerification: 'required' | 'preferred';
  /** COSE algorithms that were offered. Default is {@link algorithms}. */
  algorithms?: number[];
}

export interface NewCredential {
  id: string;
  publicKey: Uint8Array;
  counter: number;
  aaguid: string;
  backupEligible: boolean;
  backedUp: boolean;
  transports: string[];
}

/**
 * Verifies a registration, all steps of WebAuthn §7.1. Whether the credential id is new is for the caller to see.
 *
 * Not checked: whether an attestation leads to a maker that is trusted. Attestation is not asked for; one that is given must be right.
 *
 * @throws Error whose text says what is wrong, for the log
 */
export async function verifyAttestation(
  response: Attestation,
  expected: Expectation,
): Promise<NewCredential> {
  requireSameOriginFrame(response.response.clientDataJSON);
  requireStrictCbor(Buffer.from(response.response.attestationObject, 'base64url'));
  const { verified, registrationInfo: info } = await verifyRegistrationResponse({
    response: {
      ...response,
      response: { ...response.response, transports: [] },
      clientExtensionResults: {},
    } as never,
    expectedChallenge: expected.challenge,
    expectedOrigin: expected.origins,
    expectedRPID: expected.rpId,
    requireUserPresence: true,
    requireUserVerification: expected.userVerification === 'required',
    supportedAlgorithmIDs: expected.algorithms ?? algorithms,
  });
  if (!verified || !info) throw new CeremonyError('Attestation does not verify');
  const { credential } = info;
  if (credential.id !== response.id) throw new CeremonyError('Credential ID differs from the attested one');
  const length = Buffer.from(credential.id, 'base64url').length;
  if (length === 0 || length > 1_023)
    throw new CeremonyError('Credential ID is empty or longer than 1023 bytes');
  requireGoodKey(credential.publicKey);
  requireSelfAlgorithm(info.attestationObject, credential.publicKey);
  return {
    id: credential.id,
    publicKey: credential.publicKey,
    counter: credential.counter,
    aaguid: info.aaguid,
    backupEligible: info.credentialDeviceType === 'multiDevice',
    backedUp: info.credentialBackedUp,
    transports: [...new Set(response.transports ?? response.response.transports ?? [])].filter(isTransport),
  };
}

export interface StoredCredential {
  id: string;
  publicKey: Uint8Array;
  counter: number;
  backupEligible: boolean;
}

/**
 * Verifies a login, all steps of WebAuthn §7.2 that concern the answer itself. Whose credential it is is for the caller to see.
 *
 * @throws Error whose text says what is wrong, for the log
 */
export async function verifyAssertion(
  response: Assertion,
  credential: StoredCredential,
  expected: Expectation,
): Promise<{ counter: number; backedUp: boolean }> {
  requireSameOriginFrame(response.response.clientDataJSON);
  const data = Buffer.from(response.response.authenticatorData, 'base64url');
  // §6.1: AT and ED say what follows; the parser reads attested data in a login too.
  if (parseAuthenticatorData(Uint8Array.from(data)).flags.at)
    throw new CeremonyError('Attested data in a login');
  requireStrictExtensions(data);
  requireExactSignature(response.response.signature, credential.publicKey);
  const { verified, authenticationInfo: info } = await verifyAuthenticationResponse({
    response: { ...response, clientExtensionResults: {} } as never,
    expectedChallenge: expected.challenge,
    expectedOrigin: expected.origins,
    expectedRPID: expected.rpId,
    credential: {
      id: credential.id,
      publicKey: Uint8Array.from(credential.publicKey),
      counter: credential.counter,
    },
    requireUserVerification: expected.userVerification === 'required',
  });
  if (!verified) throw new CeremonyError('Signature does not verify');
  // §7.2 step 17: backup eligibility never changes.
  if ((info.credentialDeviceType === 'multiDevice') !== credential.backupEligible) {
    throw new CeremonyError('Backup eligibility changed');
  }
  return { counter: info.newCounter, backedUp: info.credentialBackedUp };
}

/** Ceremonies in frames of other sites are not offered. §7.1 step 10, §7.2 step 13. */
function requireSameOriginFrame(clientDataJSON: string): void {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(clientDataJSON, 'base64url'));
  const { crossOrigin, topOrigin } = JSON.parse(text) as Record<string, unknown>;
  if ((crossOrigin !== undefined && crossOrigin !== false) || topOrigin !== undefined) {
    throw new CeremonyError('Ceremony ran in a frame of another origin');
  }
}

function requireStrictExtensions(data: Uint8Array): void {
  const flags = data[32] ?? 0;
  if (flags & 0x80) requireStrictCbor(data.subarray(37));
}

/** §8.2: a self attestation names the algorithm of the credential itself. */
function requireSelfAlgorithm(attestationObject: Uint8Array, publicKey: Uint8Array): void {
  const object = decodeAttestationObject(Uint8Array.from(attestationObject));
  const statement = object.get('attStmt');
  const self = object.get('fmt') === 'packed' && !statement.get('x5c');
  const key = decodeCredentialPublicKey(Uint8Array.from(publicKey));
  if (self && statement.get('alg') !== key.get(cose.COSEKEYS.alg)) {
    throw new CeremonyError('Self attestation names another algorithm');
  }
}

/** The key must be one that can sign at all: a point on its curve, or RSA of at least 2048 bits. */
function requireGoodKey(publicKey: Uint8Array): void {
  requireStrictCbor(publicKey);
  const jwk = jwkOf(publicKey);
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < 2_048) throw new CeremonyError('RSA key is shorter than 2048 bits');
}

const curves: Record<number, string> = { 1: 'P-256', 2: 'P-384', 3: 'P-521', 6: 'Ed25519' };
/** COSE algorithm to key type and curve: RFC 9053 §2, RFC 8812 §2, WebAuthn §5.8.5. */
const curveOf: Record<number, number> = { [-7]: 1, [-35]: 2, [-36]: 3, [-8]: 6 };

function jwkOf(publicKey: Uint8Array): Record<string, string> {
  const key = decodeCredentialPublicKey(Uint8Array.from(publicKey)) as unknown as Map<number, unknown>;
  const text = (label: number) => Buffer.from((key.get(label) ?? []) as Uint8Array).toString('base64url');
  const alg = Number(key.get(cose.COSEKEYS.alg));
  const kty = key.get(cose.COSEKEYS.kty);
  if (kty === cose.COSEKTY.RSA && alg === -257) return { kty: 'RSA', n: text(-1), e: text(-2) };
  const crv = Number(key.get(-1));
  if (curveOf[alg] !== crv) throw new CeremonyError('Key does not suit its algorithm');
  if (kty === cose.COSEKTY.EC2 && crv <= 3)
    return { kty: 'EC', crv: curves[crv] ?? '', x: text(-2), y: text(-3) };
  if (kty === cose.COSEKTY.OKP && crv === 6) return { kty: 'OKP', crv: 'Ed25519', x: text(-2) };
  throw new CeremonyError('Key does not suit its algorithm');
}

/** DER has one form for each ECDSA signature; the parser used afterwards takes trailing bytes too. SEC 1 §C.8. */
function requireExactSignature(signature: string, publicKey: Uint8Array): void {
  const key = decodeCredentialPublicKey(Uint8Array.from(publicKey)) as unknown as Map<number, unknown>;
  if (key.get(cose.COSEKEYS.kty) !== cose.COSEKTY.EC2) return;
  const der = Buffer.from(signature, 'base64url');
  const long = der[1] === 0x81;
  const header = long ? 3 : 2;
  const length = long ? (der[2] ?? 0) : (der[1] ?? 0);
  const integer = (start: number) => (der[start] === 2 ? start + 2 + (der[start + 1] ?? 0) : Number.NaN);
  if (der[0] !== 0x30 || header + length !== der.length || integer(integer(header)) !== der.length) {
    throw new CeremonyError('Signature is not exact DER');
  }
}

function isTransport(text: string): boolean {
  return ['usb', 'nfc', 'ble', 'smart-card', 'hybrid', 'internal'].includes(text);
}
