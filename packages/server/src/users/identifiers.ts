import { domainToASCII } from 'node:url';
import type { ErrorCode } from '../errors.ts';
import { WireError } from '../errors.ts';
import type { App } from '../service.ts';

/** Texts of the original service, because clients compare them. */
export const identifierErrors = {
  email: 'identifier: must be a valid email address.',
  phone: 'identifier: must be a valid E164 number.',
} as const;

export interface Identifier {
  channel: 'email' | 'phone';
  value: string;
}

/**
 * Reads an email address and returns it in the form that is stored, so that one address is one account: domain in ASCII
 * (UTS 46), all lower case, local part in NFC (RFC 6532 §3.1). Rejects characters that people cannot see or distinguish:
 * control, format and full-width characters. RFC 5321 §4.5.3.1 limits the length. Also rejects quoted local parts, and a
 * plus at the start, which marks phone numbers.
 */
export function readEmail(text: string): string | undefined {
  const typed = text.trim();
  if (/[\p{Cc}\p{Cf}\p{Cs}\uFF01-\uFFEF]/u.test(typed)) return undefined;
  const at = typed.lastIndexOf('@');
  const local = typed.slice(0, Math.max(at, 0)).toLowerCase().normalize('NFC');
  const typedDomain = typed.slice(at + 1);
  // `domainToASCII` reads the host of a URL: it drops `#…`, `/…` and `?…`, and decodes `%…`.
  if (/[^\P{ASCII}A-Za-z\d.-]/u.test(typedDomain)) return undefined;
  const domain = domainToASCII(typedDomain).toLowerCase();
  const email = `${local}@${domain}`;
  const right = localForm.test(local) && !local.includes('..') && domainForm.test(domain);
  return right && Buffer.byteLength(email) <= 254 ? email : undefined;
}

/** DI: variation selectors, fillers and other characters that are not shown. U+2800 looks like a space. */
const localForm = /^(?!\+)[^\s@"(),:;<>[\\\]\p{DI}\u2800]{1,64}$/u;
const domainForm = /^(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.)+[a-z](?:[a-z\d-]{0,61}[a-z\d])$/;

/** ITU-T E.164 §6: a plus and at most fifteen digits. */
export function readPhone(text: string): string | undefined {
  const phone = text.trim();
  return /^\+[1-9]\d{6,14}$/.test(phone) ? phone : undefined;
}

/**
 * Reads the identifier of a visitor: a phone number begins with a plus, everything else is an email address.
 *
 * @throws {@link WireError} if it is neither, or the app does not allow that channel
 */
export function readIdentifier(app: App, text: string): Identifier {
  const { allowedIdentifier } = app.settings;
  const channel = /^\s*\+/.test(text) ? 'phone' : 'email';
  const value = channel === 'phone' ? readPhone(text) : readEmail(text);
  if (text.trim() === '') throw invalid('identifier: cannot be blank.');
  if (allowedIdentifier !== 'both' && allowedIdentifier !== channel)
    throw invalid(identifierErrors[allowedIdentifier]);
  if (!value) throw invalid(identifierErrors[channel]);
  return { channel, value };
}

/** Reads the addresses of a request of a back end, with the error texts of the original service. */
export function readIdentifiers(args: { email?: string | undefined; phone?: string | undefined }): {
  email?: string;
  phone?: string;
} {
  const email = args.email ? readEmail(args.email) : undefined;
  const phone = args.phone ? readPhone(args.phone) : undefined;
  const wrong = [
    ...(args.phone && !phone ? [identifierErrors.phone] : []),
    ...(args.email && !email ? [identifierErrors.email] : []),
  ];
  if (wrong.length)
    throw invalid(wrong.map((text, index) => (index < wrong.length - 1 ? `${text};` : text)).join(' '));
  return { ...(email && { email }), ...(phone && { phone }) };
}

function invalid(text: string, code: ErrorCode = 'invalid_request'): WireError {
  return new WireError(code, text);
}
