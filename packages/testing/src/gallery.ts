import { createHmac } from 'node:crypto';
import type { PassageErrorCode, TokenRejection } from '@passage-auth/core';
import type { SigningKey } from './keycache.ts';
import { type Changes, decodeJwt, encode, foreignKey, signJwt } from './tokens.ts';

/** A token that must be refused, with the answer it must get. */
export interface BadToken {
  /** What is wrong with it. */
  readonly name: string;
  readonly token: string;
  /** `Authorization` with the token. */
  readonly headers: { authorization: string };
  readonly status: 401;
  readonly code: PassageErrorCode;
  /** `reason` of the `InvalidTokenError`. The answer does not contain it. */
  readonly reason: TokenRejection;
}

/** What the gallery is made of. */
export interface GalleryMaterial {
  /** A token that is accepted. */
  token: string;
  /** A token of another app of the same server. */
  otherAppToken: string;
  /** The key that signed `token`. */
  key: SigningKey;
  /** Seconds since the epoch. */
  now: number;
}

/**
 * Returns bad tokens of every kind. All but the last two differ from an accepted one in a single thing.
 *
 * @see RFC 8725 §2 for the attacks
 */
export async function createGallery({
  token,
  otherAppToken,
  key,
  now,
}: GalleryMaterial): Promise<BadToken[]> {
  const { header: used, claims } = decodeJwt(token);
  const header: Changes = { ...used, kid: key.kid };
  const foreign = await foreignKey();
  const [head = '', body = '', signature = ''] = token.split('.');
  const withClaims = (changes: Changes) => signJwt(header, { ...claims, ...changes }, key.privateKey);
  const withHeader = (changes: Changes) => signJwt({ ...header, ...changes }, claims, key.privateKey);
  return [
    bad('expired', 'expired', withClaims({ exp: now - 60 })),
    bad('without expiry', 'claim', withClaims({ exp: undefined })),
    bad('not yet valid', 'claim', withClaims({ nbf: now + 60 })),
    bad('wrong audience', 'claim', withClaims({ aud: ['another-app'] })),
    bad('wrong issuer', 'claim', withClaims({ iss: 'https://issuer.example' })),
    bad('without subject', 'claim', withClaims({ sub: undefined })),
    bad("another app's", 'claim', otherAppToken),
    bad('unknown key', 'key', signJwt({ ...header, kid: foreign.kid }, claims, foreign.privateKey)),
    bad('without key id', 'key', withHeader({ kid: undefined })),
    bad('signed with another key', 'signature', signJwt(header, claims, foreign.privateKey)),
    bad('changed signature', 'signature', `${head}.${body}.${changeFirst(signature)}`),
    bad('changed claims', 'signature', `${head}.${encode({ ...claims, changed: true })}.${signature}`),
    bad('unsigned', 'algorithm', `${encode({ ...header, alg: 'none' })}.${body}.`),
    bad('signed with the public key as a secret', 'algorithm', signWithSecret(header, body, key)),
    bad('another type', 'malformed', withHeader({ typ: 'logout+jwt' })),
    bad('two parts', 'malformed', `${head}.${body}`),
    bad('no JSON', 'malformed', 'not.a.token'),
  ];
}

function bad(name: string, reason: TokenRejection, token: string): BadToken {
  const headers = { authorization: `Bearer ${token}` };
  return { name, token, headers, status: 401, code: 'ERR_PASSAGE_INVALID_TOKEN', reason };
}

function changeFirst(text: string): string {
  return (text.startsWith('A') ? 'B' : 'A') + text.slice(1);
}

/** RFC 8725 §2.1: a verifier that lets the token choose takes the public key for an HMAC secret. */
function signWithSecret(header: Changes, body: string, { publicKey }: SigningKey): string {
  const signed = `${encode({ ...header, alg: 'HS256' })}.${body}`;
  const secret = publicKey.export({ type: 'spki', format: 'pem' });
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
