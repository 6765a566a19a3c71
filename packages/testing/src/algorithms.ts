import { generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';

/** Signature algorithm of a credential. */
export type Algorithm = 'ES256' | 'RS256' | 'EdDSA';

/** COSE key of a credential, by the labels of RFC 9053. */
export type CoseKey = Map<number, number | Uint8Array>;

/** Identifiers in the IANA registry "COSE Algorithms". */
export const coseAlgorithms: Readonly<Record<Algorithm, number>> = { ES256: -7, EdDSA: -8, RS256: -257 };

/** As `generateKeyPair` of `node:crypto` makes them; its own name for it is not in every version of the types. */
export interface KeyPair {
  publicKey: KeyObject;
  privateKey: KeyObject;
}

const generate = promisify(generateKeyPair);

/** @internal */
export function createKeyPair(algorithm: Algorithm): Promise<KeyPair> {
  if (algorithm === 'ES256') return generate('ec', { namedCurve: 'P-256' });
  if (algorithm === 'EdDSA') return generate('ed25519');
  return generate('rsa', { modulusLength: 2048 });
}

/** @internal */
export function signWith(algorithm: Algorithm, key: KeyObject, data: Uint8Array): Buffer {
  return sign(algorithm === 'EdDSA' ? null : 'sha256', data, key);
}

/**
 * Returns the public key as a COSE key.
 *
 * @see RFC 9053 §7 and RFC 8230 §4
 * @internal
 */
export function coseKeyOf(algorithm: Algorithm, key: KeyObject): CoseKey {
  const jwk = key.export({ format: 'jwk' });
  const member = (name: 'x' | 'y' | 'n' | 'e') => Buffer.from(jwk[name] ?? '', 'base64url');
  const alg = coseAlgorithms[algorithm];
  const labels: Record<Algorithm, [number, number | Uint8Array][]> = {
    ES256: [
      [1, 2],
      [3, alg],
      [-1, 1],
      [-2, member('x')],
      [-3, member('y')],
    ],
    EdDSA: [
      [1, 1],
      [3, alg],
      [-1, 6],
      [-2, member('x')],
    ],
    RS256: [
      [1, 3],
      [3, alg],
      [-1, member('n')],
      [-2, member('e')],
    ],
  };
  return new Map(labels[algorithm]);
}
