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
import { algorithms, type Expectation } from './handshakes.ts';

export type Attestation = z.infer<typeof attestation>;
export type Assertion = z.infer<typeof assertion>;

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
 * Verifies a registration, all steps of WebAuthn §7.1. The caller checks that the credential ID is new.
 *
 * Not checked: whether an attestation leads to a trusted manufacturer. Attestation is not requested; if one is sent, it
 * must be valid.
 *
 * @throws Error whose text says what is wrong, for the log
 */
export async function verifyAttestation(
  response: Attestation,
  expected: Expectation,
): Promise<NewCredential> {
  requireSameOriginFrame(response.response.clientDataJSON);
  const attestation = Uint8Array.from(Buffer.from(response.response.attestationObject, 'base64url'));
  requireStrictCbor(attestation);
  requireStrictAttestation(decodeAttestationObject(attestation));
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
    supportedAlgorithmIDs: algorithms,
  });
  if (!verified || !info) throw new CeremonyError('Attestation does not verify');
  const { credential } = info;
  if (credential.id !== response.id) throw new CeremonyError('Credential ID differs from the attested one');
  const length = Buffer.from(credential.id, 'base64url').length;
  if (length === 0 || length > 1_023)
    throw new CeremonyError('Credential ID is empty or longer than 1023 bytes');
  requireGoodKey(credential.publicKey);
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
}

/** Counter and flags of a passkey after a login. */
export interface Use {
  counter: number;
  /** The counter did not increase. Devices that share a synced passkey may each have their own counter. */
  counterWentBack: boolean;
  backupEligible: boolean;
  backedUp: boolean;
}

/**
 * Verifies a login, all steps of WebAuthn §7.2 that concern the answer itself. The caller checks whose credential it is.
 *
 * A counter that does not increase is rejected for a passkey that cannot be synced, because the passkey may have been copied. Whether a
 * passkey can be synced may change between logins, as its provider decides.
 *
 * @throws Error whose text says what is wrong, for the log
 */
export async function verifyAssertion(
  response: Assertion,
  credential: StoredCredential,
  expected: Expectation,
): Promise<Use> {
  requireSameOriginFrame(response.response.clientDataJSON);
  const data = Buffer.from(response.response.authenticatorData, 'base64url');
  // §6.1: the flags AT and ED say what follows. The parser reads attested data in a login too.
  if (parseAuthenticatorData(Uint8Array.from(data)).flags.at)
    throw new CeremonyError('Attested data in a login');
  requireStrictAuthenticatorData(data);
  if (isEcdsa(readKey(credential.publicKey).get(cose.COSEKEYS.alg)))
    requireExactDer(Buffer.from(response.response.signature, 'base64url'));
  const { verified, authenticationInfo: info } = await verifyAuthenticationResponse({
    response: { ...response, clientExtensionResults: {} } as never,
    expectedChallenge: expected.challenge,
    expectedOrigin: expected.origins,
    expectedRPID: expected.rpId,
    credential: {
      id: credential.id,
      publicKey: Uint8Array.from(credential.publicKey),
      // Otherwise the verifier would reject the counter before it checks signature and flags. The counter is compared below.
      counter: 0,
    },
    requireUserVerification: expected.userVerification === 'required',
  });
  if (!verified) throw new CeremonyError('Signature does not verify');
  const counter = info.newCounter;
  const counterWentBack = Math.max(counter, credential.counter) > 0 && counter <= credential.counter;
  const backupEligible = info.credentialDeviceType === 'multiDevice';
  if (counterWentBack && !backupEligible) throw new CeremonyError('Signature counter did not grow');
  return { counter, counterWentBack, backupEligible, backedUp: info.credentialBackedUp };
}

/** Ceremonies in frames of other sites are not supported. §7.1 step 10, §7.2 step 13. */
function requireSameOriginFrame(clientDataJSON: string): void {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(clientDataJSON, 'base64url'));
  const { crossOrigin, topOrigin } = JSON.parse(text) as Record<string, unknown>;
  if ((crossOrigin !== undefined && crossOrigin !== false) || topOrigin !== undefined) {
    throw new CeremonyError('Ceremony ran in a frame of another origin');
  }
}

/** After the credential ID come its key and then extensions, as the flags say. The parser used afterwards encodes both again. §6.1. */
function requireStrictAuthenticatorData(data: Uint8Array): void {
  const flags = data[32] ?? 0;
  const attested = flags & 0x40 ? 1 : 0;
  const extended = flags & 0x80 ? 1 : 0;
  const credentialLength = ((data[53] ?? 0) << 8) + (data[54] ?? 0);
  requireStrictCbor(data.subarray(attested ? 55 + credentialLength : 37), attested + extended);
}

function requireStrictAttestation(object: ReturnType<typeof decodeAttestationObject>): void {
  const data = object.get('authData');
  requireStrictAuthenticatorData(data);
  const format = object.get('fmt');
  const statement = object.get('attStmt');
  const algorithm = statement.get('alg');
  const signature = statement.get('sig');
  if (signature && (isEcdsa(algorithm) || format === 'fido-u2f')) requireExactDer(signature);
  // §8.2: a self attestation names the algorithm of the credential itself.
  const key = parseAuthenticatorData(data).credentialPublicKey;
  if (format !== 'packed' || statement.get('x5c') || !key) return;
  if (algorithm !== readKey(key).get(cose.COSEKEYS.alg))
    throw new CeremonyError('Self attestation names another algorithm');
}

/** The key must be usable: a point on its curve, or RSA with at least 2048 bits. */
function requireGoodKey(publicKey: Uint8Array): void {
  const jwk = jwkOf(publicKey);
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < 2_048) throw new CeremonyError('RSA key is shorter than 2048 bits');
}

const curves: Record<number, string> = { 1: 'P-256', 2: 'P-384', 3: 'P-521', 6: 'Ed25519' };
/** COSE algorithm to key type and curve: RFC 9053 §2, RFC 8812 §2, WebAuthn §5.8.5. */
const curveOf: Record<number, number> = { [-7]: 1, [-35]: 2, [-36]: 3, [-8]: 6 };

function jwkOf(publicKey: Uint8Array): Record<string, string> {
  const key = readKey(publicKey);
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

function readKey(publicKey: Uint8Array): Map<number, unknown> {
  return decodeCredentialPublicKey(Uint8Array.from(publicKey)) as unknown as Map<number, unknown>;
}

function isEcdsa(algorithm: unknown): boolean {
  return algorithm === -7 || algorithm === -35 || algorithm === -36;
}

/** DER has one form for each ECDSA signature; the parser used afterwards is lenient. SEC 1 §C.8. */
function requireExactDer(der: Uint8Array): void {
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
