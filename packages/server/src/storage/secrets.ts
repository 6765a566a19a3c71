import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  randomInt,
} from 'node:crypto';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Returns random letters and digits, each equally likely: ids have 24 of them, which is 142 bits. */
export function randomText(length = 24): string {
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      // 248 is the largest multiple of 62 below 256: bytes above it would favor the first letters.
      if (byte < 248 && text.length < length) text += alphabet[byte % 62];
    }
  }
  return text;
}

let newest = 0;

/** Returns an ID that sorts after those that this process created before. */
export function orderedText(now: number): string {
  newest = Math.max(now * 1000, newest + 1);
  return `${newest.toString(36).padStart(11, '0')}${randomText(16)}`;
}

/** Returns six random digits, every code from 000000 to 999999 equally likely. */
export function randomCode(): string {
  return String(randomInt(1_000_000)).padStart(6, '0');
}

/** Hashes an API key. It has 380 random bits, so it needs no pepper, and outlives a change of the server's secret. */
export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('base64url');
}

/** Kind of a hashed value: hashes of different kinds never match. */
export type HashKind =
  | 'handshake'
  | 'challenge'
  | 'code'
  | 'code id'
  | 'link'
  | 'link id'
  | 'refresh token'
  | 'refresh successor'
  | 'mark'
  | 'limit'
  | 'probe'
  | 'decoy';

/** Hashes and encrypts with keys derived from the server's secret. */
export interface Secrets {
  /** Returns a peppered hash: without the server's secret, not even a short code can be guessed from it. */
  hash(kind: HashKind, ...parts: string[]): string;
  /** Encrypts and authenticates, bound to `context`. */
  seal(text: string, context: string): string;
  /** @throws Error if the secret differs, or the text was changed or belongs to another context */
  open(sealed: string, context: string): string;
}

/** @param secret At least 32 random bytes. */
export function createSecrets(secret: Uint8Array): Secrets {
  const derive = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', secret, '', `passage-auth ${purpose}`, 32));
  const pepper = derive('hash');
  const sealing = derive('seal');
  return {
    hash(kind, ...parts) {
      // JSON keeps the parts apart: ("a", "bc") and ("ab", "c") differ.
      return createHmac('sha256', pepper)
        .update(JSON.stringify([kind, ...parts]))
        .digest('base64url');
    },
    seal(text, context) {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', sealing, iv).setAAD(Buffer.from(context));
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url');
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed, 'base64url');
      const decipher = createDecipheriv('aes-256-gcm', sealing, bytes.subarray(0, 12), { authTagLength: 16 });
      decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(12, 28));
      return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
    },
  };
}
