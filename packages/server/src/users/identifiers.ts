import type { ErrorCode } from '../errors.ts';
import { WireError } from '../errors.ts';
import type { App } from '../service.ts';

/** Texts of the original service: clients compare them. */
export const identifierErrors = {
  email: 'identifier: must be a valid email address.',
  phone: 'identifier: must be a valid E164 number.',
} as const;

export interface Identifier {
  channel: 'email' | 'phone';
  value: string;
}

/** RFC 5321 §4.5.3.1 bounds the length; quoted local parts are refused. */
export function readEmail(text: string): string | undefined {
  const email = text.trim().toLowerCase();
  const form =
    /^[^\s@"(),:;<>[\\\]\p{Cc}]{1,64}@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+[\p{L}\p{N}-]{2,63}$/u;
  return email.length <= 254 && form.test(email) && !email.includes('..') ? email : undefined;
}

/** ITU-T E.164 §6: a plus and at most fifteen digits. */
export function readPhone(text: string): string | undefined {
  const phone = text.trim();
  return /^\+[1-9]\d{6,14}$/.test(phone) ? phone : undefined;
}

/**
 * Reads what a visitor typed: a phone number begins with a plus, all else is an e-mail address.
 *
 * @throws {@link WireError} when it is neither, or of a kind that the app does not allow
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

/** Reads the addresses that a back end gives, with the messages of the original service. */
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
