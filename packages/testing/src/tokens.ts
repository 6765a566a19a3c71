import { generateKeyPair, type KeyObject, randomBytes, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { keepKey, type SigningKey } from './keycache.ts';

/** Members to put into a part of a token, or to leave out of it when `undefined`. */
export type Changes = Readonly<Record<string, unknown>>;

/** The key of every app that the kit starts. Making one takes longer than all else, so a user of a machine makes it once. */
export const appKey = once(() => keepKey(createSigningKey));

/** A key that no app of the kit publishes but the "other app" of the gallery. */
export const foreignKey = once(createSigningKey);

function once(make: () => Promise<SigningKey>): () => Promise<SigningKey> {
  let made: Promise<SigningKey> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

async function createSigningKey(): Promise<SigningKey> {
  const pair = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  return { kid: randomBytes(12).toString('hex'), ...pair };
}

/** Returns the private key in the form that the server takes as `signingKey`. */
export function privateJwkOf({ kid, privateKey }: SigningKey): JsonWebKey {
  return { ...privateKey.export({ format: 'jwk' }), kid } as JsonWebKey;
}

/** Returns a token with any header and claims, signed with RS256 whatever the header says. */
export function signJwt(header: Changes, claims: Changes, key: KeyObject): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
}

export function encode(part: Changes): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

/** Returns header and claims of a token. Not checked: anything. */
export function decodeJwt(token: string): { header: Changes; claims: Changes } {
  const [header, claims] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString());
  return { header: JSON.parse(header ?? ''), claims: JSON.parse(claims ?? '') };
}
