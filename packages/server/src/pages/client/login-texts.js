// @ts-check
// Everything the login page says.

import { ApiFailure } from './login-api.js';

/**
 * @typedef {'login' | 'register' | 'code'} Action what the visitor can do about it
 * @typedef {{ text: string, action?: Action }} Notice
 */

/** @type {Record<Action, string>} */
export const actionLabels = {
  login: 'Log in instead',
  register: 'Create an account',
  code: 'Send me a code',
};

/**
 * Says what went wrong and what can be done about it.
 *
 * @param {unknown} error
 * @param {{ mode: 'login' | 'register', identifier: string, hasCode: boolean }} context
 * @returns {Notice}
 */
export function describe(error, context) {
  if (error instanceof ApiFailure) return describeFailure(error, context);
  const name = error instanceof Error ? error.name : '';
  return {
    text: browserErrors[name] ?? 'Something went wrong in this browser. Reload the page and try again.',
  };
}

// W3C WebAuthn Level 3 §5.1.3 and §5.1.4: the errors a browser may give.
/** @type {Record<string, string>} */
const browserErrors = {
  NotAllowedError: 'Cancelled, or it took too long. Nothing was changed. Try again when you are ready.',
  AbortError: 'Cancelled. Nothing was changed. Try again when you are ready.',
  InvalidStateError: 'This device already has a passkey for the account. Log in with it instead.',
  NotSupportedError: 'This device cannot make a passkey of the kind that is needed. Try another device.',
  ConstraintError:
    'This device has no screen lock. Set up a PIN, fingerprint or face unlock, then try again.',
  SecurityError: 'The browser does not allow passkeys at this address.',
  QuotaExceededError: 'This browser has no storage left, so it cannot keep you logged in.',
};

/**
 * @param {ApiFailure} failure
 * @param {{ mode: 'login' | 'register', identifier: string, hasCode: boolean }} context
 * @returns {Notice}
 */
function describeFailure(failure, { mode, identifier, hasCode }) {
  const known = failureTexts[failure.code];
  if (failure.status === 0) {
    return { text: 'The server cannot be reached. Check your connection and try again.' };
  }
  if (failure.status === 429) return { text: `Too many tries. Try again ${inTime(failure.retryAfter)}.` };
  if (failure.status >= 500) return { text: 'The server has a problem right now. Try again in a moment.' };
  if (failure.code === 'user_not_found') {
    return { text: `There is no account for ${identifier || 'this passkey'}.`, action: 'register' };
  }
  if (failure.code === 'user_has_no_passkeys') {
    const text = `The account ${identifier} has no passkey.`;
    return hasCode ? { text, action: 'code' } : { text };
  }
  if (mode === 'register' && /already exists/.test(failure.message)) {
    return { text: `There is already an account for ${identifier}.`, action: 'login' };
  }
  return { text: known ?? 'The server did not accept this. Check what you typed and try again.' };
}

/** @type {Record<string, string>} */
const failureTexts = {
  app_not_found: 'This app does not exist on this server. Check the address of the page.',
  webauthn_login_failed: 'This passkey was not accepted. It may have been removed from the account.',
  discoverable_login_failed: 'This passkey was not accepted. It may have been removed from the account.',
  user_not_active: 'This account is deactivated. Ask the people who run the app.',
  operation_not_allowed: 'New accounts cannot be created here.',
  identifier_not_verified: 'Confirm your address first: log in with a code or a link.',
  exceeded_attempts: 'Too many wrong codes. Ask for a new one.',
  invalid_magic_link: 'This link is no longer good. Ask for a new one.',
  magic_link_not_found: 'This link was used already, or is no longer good. Ask for a new one.',
};

/** @param {number | undefined} seconds */
function inTime(seconds) {
  if (!seconds) return 'in a while';
  if (seconds <= 90) return `in ${seconds} seconds`;
  return `in ${Math.ceil(seconds / 60)} minutes`;
}
