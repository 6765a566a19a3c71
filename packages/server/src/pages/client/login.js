// @ts-check
// The login page: one card that shows one step at a time.

import { ApiFailure, call, createPasskey, usePasskey } from './login-api.js';
import { destination, rememberPasskey, storeTokens } from './login-session.js';
import { actionLabels, describe } from './login-texts.js';
import { readCode, readPhone } from './login-typing.js';
import {
  button,
  currentStep,
  element,
  isHere,
  run as runExchange,
  show,
  showApp,
  showOtherOrigin,
  tell,
  tellField,
} from './login-view.js';

/** @typedef {import('./login-session.js').AuthResult} AuthResult */
/** @typedef {'login' | 'register'} Mode */

const address = new URL(location.href);
const appId = address.searchParams.get('app') || document.body.dataset.app || '';
const linkSecret = address.searchParams.get('psg_magic_link') ?? address.searchParams.get('psg_verify_link');
const verifying = !address.searchParams.has('psg_magic_link') && address.searchParams.has('psg_verify_link');
const canUsePasskeys = window.isSecureContext && 'PublicKeyCredential' in window;

/** @type {any} the app as the Auth API describes it */
let app;
/** @type {Mode} */
let mode = address.searchParams.get('view') === 'register' ? 'register' : 'login';
/** What the visitor typed last, in the form the server takes. */
let identifier = '';
let otpId = '';
/** @type {AuthResult | undefined} set between logging in and leaving, while a passkey is offered */
let session;

const identifierInput = /** @type {HTMLInputElement} */ (element('identifier'));
const codeInput = /** @type {HTMLInputElement} */ (element('code'));

/**
 * @param {string} waiting what to say meanwhile
 * @param {() => Promise<void>} exchange
 */
function run(waiting, exchange) {
  return runExchange(waiting, exchange, fail);
}

/** @param {unknown} error */
function fail(error) {
  if (!(error instanceof Error)) throw error;
  const { text, action } = describe(error, { mode, identifier, hasCode: Boolean(app?.auth_methods.otp) });
  if (!action) return tell(text);
  const act = action === 'code' ? sendCode : () => showStart(action);
  const possible = action !== 'register' || app.public_signup;
  tell(text, possible ? button(actionLabels[action], act) : undefined);
}

// Step 1: who are you?

/** @param {Mode} chosen */
function showStart(chosen) {
  mode = chosen;
  const registering = mode === 'register';
  const hasPasskeys = canUsePasskeys && Boolean(app.auth_methods.passkeys);
  const { otp, magic_link: link } = app.auth_methods;
  show(
    'start',
    registering ? 'Create your account' : 'Log in',
    registering
      ? `One passkey is all you need for ${app.name}. No password.`
      : `Welcome back to ${app.name}.`,
  );
  element('passkey-label').textContent = registering ? 'Create a passkey' : 'Log in with a passkey';
  element('use-passkey').hidden = !hasPasskeys;
  element('send-code').hidden = !otp;
  element('send-link').hidden = Boolean(otp) || !link;
  element('or').hidden = !hasPasskeys || (!otp && !link);
  element('switch').hidden = !registering && !app.public_signup;
  element('switch-text').textContent = registering ? 'Have an account?' : 'New here?';
  element('switch-button').textContent = registering ? 'Log in' : 'Create an account';
  if (!hasPasskeys && app.auth_methods.passkeys) tell(noPasskeys(Boolean(otp || link)));
}

/** @param {boolean} hasFallback */
function noPasskeys(hasFallback) {
  const reason = window.isSecureContext
    ? 'This browser cannot use passkeys.'
    : 'Passkeys need a secure connection: https, or localhost.';
  const advice = hasFallback
    ? 'You can continue without one.'
    : 'Open this page in a current browser over https.';
  return `${reason} ${advice}`;
}

/** Reads the address field, or says what is wrong with it and returns nothing. */
function readIdentifier() {
  const typed = identifierInput.value.trim();
  const phone = readPhone(typed);
  const allowed = app.allowed_identifier;
  if (allowed !== 'phone' && /^[^\s@]+@[^\s@]+\.?[^\s@]+$/.test(typed)) identifier = typed;
  else if (allowed !== 'email' && phone) identifier = phone;
  else {
    tellField(identifierInput, identifierHints[allowed] ?? 'Enter your address.');
    return undefined;
  }
  return identifier;
}

/** @type {Record<string, string>} */
const identifierHints = {
  email: 'Enter your email address, such as ada@example.com.',
  phone: 'Enter your phone number with its country code, such as +1 500 555 0006.',
  both: 'Enter your email address, or your phone number with its country code, such as +1 500 555 0006.',
};

element('start-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (element('use-passkey').hidden) {
    if (element('send-code').hidden) sendLink();
    else sendCode();
  } else if (mode === 'register') registerPasskey();
  else loginPasskey();
});
element('send-code').addEventListener('click', () => sendCode());
element('send-link').addEventListener('click', () => sendLink());
element('switch-button').addEventListener('click', () => showStart(mode === 'login' ? 'register' : 'login'));

// Passkeys

function registerPasskey() {
  if (!readIdentifier()) return;
  // The server accepts no passkey for an unproven address.
  if (app.require_identifier_verification) return app.auth_methods.otp ? sendCode() : sendLink();
  const waiting = 'Waiting for your passkey…';
  return run(waiting, async () => {
    const start = await call(appId, 'POST', '/register/webauthn/start', {
      identifier,
      authenticator_attachment: 'any',
    });
    const credential = await createPasskey(start.handshake.challenge.publicKey);
    const finish = await call(appId, 'POST', '/register/webauthn/finish', {
      user_id: start.user.id,
      handshake_id: start.handshake.id,
      handshake_response: credential,
    });
    rememberPasskey(start.user.id, credential.id);
    offerProof(finish.auth_result);
  });
}

function loginPasskey() {
  // Without an address the browser shows every passkey that it has for this site.
  identifier = '';
  if (identifierInput.value.trim() && !readIdentifier()) return;
  return run('Waiting for your passkey…', async () => {
    const start = await call(appId, 'POST', '/login/webauthn/start', identifier ? { identifier } : {});
    const credential = await usePasskey(start.handshake.challenge.publicKey);
    const finish = await call(appId, 'POST', '/login/webauthn/finish', {
      handshake_id: start.handshake.id,
      handshake_response: credential,
      ...(identifier && { user_id: start.user?.id }),
    });
    leave(finish.auth_result);
  });
}

// Codes

function sendCode() {
  if (!readIdentifier()) return;
  return run('Sending the code…', async () => {
    ({ otp_id: otpId } = await call(appId, 'POST', `/${mode}/otp`, {
      identifier,
      language: navigator.language,
    }));
    codeInput.value = '';
    show('enter-code', 'Enter the code', `We sent a 6-digit code to ${identifier}.`);
  });
}

element('code-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const otp = readCode(codeInput.value);
  if (!otp) return tellField(codeInput, 'Enter the 6 digits of the code.');
  run('Checking the code…', async () => {
    try {
      const { auth_result: result } = await call(appId, 'POST', '/otp/activate', { otp, otp_id: otpId });
      await offerPasskey(result);
    } catch (error) {
      if (!(error instanceof ApiFailure) || error.status !== 400) throw error;
      codeInput.select();
      tellField(codeInput, 'This code is wrong or has expired. Check it and try again.');
    }
  });
});
element('resend').addEventListener('click', () => sendCode());
for (const back of document.querySelectorAll('.back')) {
  back.addEventListener('click', () => showStart(mode));
}

// Links

function sendLink() {
  if (!readIdentifier()) return;
  return run('Sending the link…', async () => {
    const { magic_link: link } = await call(appId, 'POST', `/${mode}/magic-link`, {
      identifier,
      language: navigator.language,
      magic_link_path: location.pathname + location.search,
    });
    const text = `We sent a link to ${identifier}. Open it on any device, and this page continues automatically.`;
    show('inbox', 'Check your messages', text);
    pollLink(link.id, (result) => run('Logging in…', () => offerPasskey(result)));
  });
}

/**
 * @param {string} id
 * @param {(result: AuthResult) => unknown} opened
 */
function pollLink(id, opened) {
  const step = currentStep();
  const timer = setInterval(async () => {
    if (step !== currentStep()) return clearInterval(timer);
    if (document.hidden) return;
    try {
      const { auth_result: result } = await call(appId, 'POST', '/magic-link/status', { id });
      clearInterval(timer);
      await opened(result);
    } catch (error) {
      // 404 means “not yet”. Other failures may be temporary; the visitor can go back at any time.
      if (!(error instanceof ApiFailure)) throw error;
    }
  }, 3_000);
}

// A link only takes effect when the button is pressed, because mail scanners and previews open links, too.
element('open-link').addEventListener('click', () => {
  run('Checking the link…', async () => {
    const answer = await call(appId, 'PATCH', '/magic-link/activate', { magic_link: linkSecret });
    if (verifying) showConfirmed(answer.auth_result);
    else await offerPasskey(answer.auth_result);
  });
});
element('link-start').addEventListener('click', () => showStart('login'));

// Afterwards

/** @param {AuthResult} result */
async function offerPasskey(result) {
  storeTokens(result);
  session = result;
  if (!canUsePasskeys || !app.auth_methods.passkeys) return leave(result);
  const path = '/currentuser';
  const answer = await call(appId, 'GET', path, undefined, result.auth_token).catch(() => undefined);
  if (!answer || answer.user.webauthn) return leave(result);
  show('offer', 'Faster next time', 'Create a passkey to log in with your fingerprint, face or PIN.');
}

element('add-passkey').addEventListener('click', () => {
  run('Waiting for your passkey…', async () => {
    if (!session) return;
    const token = session.auth_token;
    const start = await call(appId, 'POST', '/currentuser/devices/start', {}, token);
    const credential = await createPasskey(start.handshake.challenge.publicKey);
    const finish = {
      user_id: start.user.id,
      handshake_id: start.handshake.id,
      handshake_response: credential,
    };
    await call(appId, 'POST', '/currentuser/devices/finish', finish, token);
    rememberPasskey(start.user.id, credential.id);
    leave(session);
  });
});
for (const skip of document.querySelectorAll('.skip')) {
  skip.addEventListener('click', () => session && leave(session));
}

// The address is unproven. A later login that proves it removes what was made before, this passkey too. Proving it
// with this session removes nothing.

/** @param {AuthResult} result */
function offerProof(result) {
  storeTokens(result);
  session = result;
  const text = `Confirm that ${identifier} is yours. Otherwise this passkey is removed when you log in with a code or a link.`;
  show('prove', `Confirm your ${channelOf(identifier).label}`, text);
}

function sendProof() {
  run('Sending the link…', async () => {
    if (!session) return;
    const { name } = channelOf(identifier);
    const body = {
      [`new_${name}`]: identifier,
      language: navigator.language,
      magic_link_path: location.pathname + location.search,
    };
    const answer = await call(appId, 'PATCH', `/currentuser/${name}`, body, session.auth_token);
    const text = `We sent a link to ${identifier}. Open it on any device, and this page continues automatically.`;
    show('proof-sent', 'Check your messages', text);
    // Its answer has an access token of this session, without a refresh token.
    pollLink(answer.magic_link.id, () => session && leave(session));
  });
}
element('send-proof').addEventListener('click', sendProof);
element('resend-proof').addEventListener('click', sendProof);

/** @param {string} typed */
function channelOf(typed) {
  return typed.startsWith('+') ? { name: 'phone', label: 'phone number' } : { name: 'email', label: 'email' };
}

/** @param {AuthResult} result */
function leave(result) {
  storeTokens(result);
  show('done', 'You are logged in', `Taking you to ${app.name}…`);
  goOn(result);
}

/**
 * Confirming an address is no login: the account may be that of whoever asked for the link, so this browser keeps the tokens it has.
 *
 * @param {AuthResult} result
 */
function showConfirmed(result) {
  show('done', 'Your address is confirmed', `Taking you to ${app.name}…`);
  goOn(result);
}

/** @param {AuthResult} result */
function goOn(result) {
  const next = result.redirect_url || app.redirect_url;
  // Replaces the page, so that going back does not show a used form or link.
  location.replace(destination(location.origin, address.searchParams.get('redirect'), next));
}

// Start

async function start() {
  if (!appId)
    return show('problem', 'Which app?', 'Several apps use this server. Open this page from your app.');
  try {
    ({ app } = await call(appId, 'GET', ''));
  } catch (error) {
    show('problem', 'This page cannot be shown', '');
    return fail(error);
  }
  showApp(app);
  if (!isHere(app)) return showOtherOrigin(app);
  dressIdentifier(app.allowed_identifier);
  if (linkSecret) return showLink();
  showStart(mode === 'register' && app.public_signup ? 'register' : 'login');
}

/** @param {string} allowed */
function dressIdentifier(allowed) {
  const labels = { email: 'Email', phone: 'Phone', both: 'Email or phone' };
  element('identifier-label').textContent =
    labels[/** @type {keyof typeof labels} */ (allowed)] ?? labels.both;
  identifierInput.inputMode = allowed === 'phone' ? 'tel' : 'email';
}

function showLink() {
  element('open-link').textContent = verifying ? 'Confirm' : 'Log in';
  if (verifying)
    show(
      'link',
      'Confirm your address',
      'The message names the account that asked for this. Confirm only if it is yours: the address then belongs to it.',
    );
  else show('link', `Log in to ${app.name}`, 'Press the button to finish logging in on this device.');
}

start();
