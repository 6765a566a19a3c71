import { decode as decodeBase64url } from 'jose/base64url';
import { isPathSegment } from './arguments.ts';
import { BoundedCache, type Cached } from './cache.ts';
import { InvalidTokenError } from './errors.ts';
import type { ResolvedOptions } from './options.ts';
import { host } from './runtime.ts';

/** Claims of a verified Passage access token (docs/protocol.md §2.2). Read-only: one object may serve many requests. */
export interface PassageClaims {
  /** Passage user ID. */
  readonly sub: string;
  readonly iss: string;
  /** App ID, or a list that contains it. */
  readonly aud: string | readonly string[];
  /** Expiry, in seconds since the epoch. */
  readonly exp: number;
  readonly nbf?: number;
  readonly iat?: number;
  readonly jti?: string;
  /** Session: the same in all tokens of one login. The original service sent none. */
  readonly sid?: string;
  /** When the user logged in, in seconds since the epoch; a refresh does not change it. The original service sent none. */
  readonly auth_time?: number;
  readonly [claim: string]: unknown;
}

/** The contents of a token. Trust nothing in it before the signature is verified. @internal */
export interface UnverifiedToken {
  readonly kid: string;
  readonly claims: PassageClaims;
}

/** Longest accepted token, in characters. */
const maximumLength = 8192;

/**
 * Parses a token and checks everything that needs no key: its form, header and claims.
 *
 * Not checked: the signature.
 *
 * @param now Milliseconds since the epoch.
 * @throws {@link InvalidTokenError} for any reason except `signature` and `user`
 * @see RFC 7515 §7.1, RFC 7519 §7.2, RFC 8725 §3
 * @internal
 */
export function readToken(token: string, now: number, options: ResolvedOptions): UnverifiedToken {
  const [header, payload, signature] = splitToken(token);
  const kid = readHeader(header);
  const claims = parseObject(payload);
  checkCanonical(signature);
  checkTime(claims, now, options);
  checkClaims(claims, options);
  return { kid, claims: claims as PassageClaims };
}

/**
 * Checks that a token is within its time.
 *
 * @param now Milliseconds since the epoch.
 * @throws {@link InvalidTokenError} `expired`, or `claim` when it is not valid yet
 * @see RFC 7519 §4.1.4 and §4.1.5
 * @internal
 */
export function checkTime(claims: Record<string, unknown>, now: number, options: ResolvedOptions): void {
  const { exp, nbf } = claims;
  const seconds = now / 1000;
  if (!Number.isFinite(exp)) throw new InvalidTokenError('claim', { claim: 'exp' });
  if (seconds >= (exp as number) + options.clockTolerance) {
    throw new InvalidTokenError('expired', { claim: 'exp' });
  }
  if (nbf === undefined) return;
  if (!Number.isFinite(nbf) || seconds < (nbf as number) - options.clockTolerance) {
    throw new InvalidTokenError('claim', { claim: 'nbf' });
  }
}

function splitToken(token: unknown): [header: string, payload: string, signature: string] {
  // The length is checked first, so that no regular expression runs over a huge text.
  if (typeof token !== 'string' || token.length > maximumLength) throw new InvalidTokenError('malformed');
  const parts = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(token);
  if (!parts) {
    // An empty third part is an unsigned token (RFC 7515 appendix A.5), refused for what it is.
    throw new InvalidTokenError(/^[\w-]+\.[\w-]+\.$/.test(token) ? 'algorithm' : 'malformed');
  }
  return [parts[1] as string, parts[2] as string, parts[3] as string];
}

/**
 * RFC 4648 §3.5: unused bits must be zero. Without it, a signature could be written in several ways.
 * Header and payload need no such check, because the signature covers their text.
 */
function checkCanonical(part: string): void {
  const last = part.at(-1) as string;
  const rest = part.length % 4;
  if (
    rest === 1 ||
    (rest === 2 && !'AQgw'.includes(last)) ||
    (rest === 3 && !'AEIMQUYcgkosw048'.includes(last))
  ) {
    throw new InvalidTokenError('malformed');
  }
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

function parseObject(part: string): Record<string, unknown> {
  // RFC 4648 §3.2: base64url never has this length.
  if (part.length % 4 === 1) throw new InvalidTokenError('malformed');
  const bytes = decode(part);
  const text = decoder.decode(bytes);
  // Most junk is refused here: an exception of `JSON.parse` or of a strict decoder takes longer than all other checks.
  if (!text.trimStart().startsWith('{') || !isExact(text, bytes)) throw new InvalidTokenError('malformed');
  try {
    return JSON.parse(text);
  } catch {
    // Its error quotes the token, so it is not passed on as the cause.
    throw new InvalidTokenError('malformed');
  }
}

/** Whether the bytes were UTF-8. Invalid bytes decode to U+FFFD, which valid text may contain too. */
function isExact(text: string, bytes: Uint8Array): boolean {
  return !text.includes('\ufffd') || encoder.encode(text).every((byte, index) => byte === bytes[index]);
}

/** Decodes letters of base64url; by `Buffer`, if there is one, in a tenth of the time. */
function decode(part: string): Uint8Array {
  return host.Buffer?.from(part, 'base64url') ?? decodeBase64url(part);
}

/** Headers that were accepted. All tokens that a key signs have the same header. */
const accepted = new BoundedCache<Cached & { kid: string }>(64);

function readHeader(header: string): string {
  const known = accepted.get(header);
  if (known) return known.kid;
  const kid = readKid(parseObject(header));
  accepted.set(header, { kid });
  return kid;
}

function readKid({ alg, typ, kid, crit }: Record<string, unknown>): string {
  // RFC 8725 §3.1: the algorithm is ours to choose, never the token's.
  if (alg !== 'RS256') throw new InvalidTokenError('algorithm');
  // RFC 8725 §3.11: a token that declares another type is not an access token. RFC 7519 §5.1: in any letter case.
  const typed = typ === undefined || (typeof typ === 'string' && typ.toUpperCase() === 'JWT');
  // RFC 7515 §4.1.11: no extension is understood here, so none may be critical.
  if (!typed || crit !== undefined) throw new InvalidTokenError('malformed');
  if (typeof kid !== 'string' || kid === '') throw new InvalidTokenError('key');
  return kid;
}

function checkClaims({ iss, aud, sub }: Record<string, unknown>, options: ResolvedOptions): void {
  // RFC 8725 §3.8 and §3.9.
  if (!options.issuers.has(iss as string)) {
    const mismatch = { expected: [...options.issuers], received: iss };
    throw new InvalidTokenError('claim', { claim: 'iss', mismatch });
  }
  if (aud !== options.appId && !(Array.isArray(aud) && aud.includes(options.appId))) {
    const mismatch = { expected: [options.appId], received: aud };
    throw new InvalidTokenError('claim', { claim: 'aud', mismatch });
  }
  // It becomes part of a URL when the user is loaded.
  if (!isPathSegment(sub)) throw new InvalidTokenError('claim', { claim: 'sub' });
}
