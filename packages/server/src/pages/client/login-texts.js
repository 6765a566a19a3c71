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
  NotAllowedError: 'Canceled or timed out. Nothing has changed. Try again when you are ready.',
  AbortError: 'Canceled. Nothing has changed. Try again when you are ready.',
  InvalidStateError: 'This device already has a passkey for the account. Log in with it instead.',
  NotSupportedError: 'This device does not support the required kind of passkey. Use another device.',
  ConstraintError:
    'This device has no screen lock. Set up a PIN, fingerprint or face unlock, then try again.',
  SecurityError: 'The browser does not allow passkeys on this site.',
  QuotaExceededError: 'This browser has no storage left and cannot keep you logged in.',
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
  if (failure.status === 429) return { text: `Too many attempts. Try again ${inTime(failure.retryAfter)}.` };
  if (failure.status >= 500) return { text: 'The server is not available right now. Try again in a moment.' };
  if (failure.code === 'user_not_found') {
    return { text: `There is no account for ${identifier || 'this passkey'}.`, action: 'register' };
  }
  if (failure.code === 'user_has_no_passkeys') {
    const text = `The account ${identifier} has no passkey.`;
    return hasCode ? { text, action: 'code' } : { text };
  }
  if (mode === 'register' && /already exists/.test(failure.message)) {
    return { text: `An account for ${identifier} already exists.`, action: 'login' };
  }
  return { text: known ?? 'The server rejected the request. Check what you entered and try again.' };
}

/** @type {Record<string, string>} */
const failureTexts = {
  app_not_found: 'This app does not exist on this server. Check the address of the page.',
  webauthn_login_failed: 'This passkey was not accepted. It may have been removed from the account.',
  discoverable_login_failed: 'This passkey was not accepted. It may have been removed from the account.',
  user_not_active: 'This account is deactivated. Contact the app’s support.',
  operation_not_allowed: 'New accounts cannot be created here.',
  identifier_not_verified: 'Confirm your address first: log in with a code or a link.',
  exceeded_attempts: 'Too many wrong codes. Request a new one.',
  invalid_magic_link: 'This link is no longer valid. Request a new one.',
  magic_link_not_found: 'This link has expired or was already used. Request a new one.',
};

/** @param {number | undefined} seconds */
function inTime(seconds) {
  if (!seconds) return 'later';
  if (seconds <= 90) return `in ${seconds} seconds`;
  return `in ${Math.ceil(seconds / 60)} minutes`;
}
