// @ts-check
// The page at `/`: whether this browser is logged in, and signing out.

import { ApiFailure, call } from './login-api.js';
import { destination, removeTokens, storeTokens } from './login-session.js';
import { describe } from './login-texts.js';
import { element, isHere, run, show, showApp, showOtherOrigin, tell } from './login-view.js';

const appId =
  new URL(location.href).searchParams.get('app') ||
  appOf(localStorage.getItem('psg_auth_token')) ||
  document.body.dataset.app ||
  '';

/** @type {any} the app as the Auth API describes it */
let app;

/**
 * Reads which app a token is for. The server checks it; this only says whom to ask.
 *
 * @param {string | null} token
 * @returns {string | undefined}
 */
function appOf(token) {
  try {
    const payload = token?.split('.')[1]?.replaceAll('-', '+').replaceAll('_', '/') ?? '';
    return [JSON.parse(atob(payload)).aud].flat()[0];
  } catch {
    return undefined;
  }
}

async function start() {
  if (!appId)
    return show('problem', 'You are not logged in', 'Several apps use this server. Log in from your app.');
  try {
    ({ app } = await call(appId, 'GET', ''));
    showApp(app);
    if (!isHere(app)) return showOtherOrigin(app);
    const user = await findUser();
    if (user) showSignedIn(user);
    else showSignedOut(`Log in to ${app.name} to continue.`);
  } catch (error) {
    show('unknown', 'This page cannot be shown', '');
    fail(error);
  }
}

/** Returns whose tokens these are, or nothing when the server refuses them. An expired access token is renewed first. */
async function findUser() {
  // Tokens of another app on this origin are not this page's to use or remove.
  if (appOf(localStorage.getItem('psg_auth_token')) !== appId) return undefined;
  const user = (await readUser()) ?? ((await renew()) && (await readUser()));
  if (!user) removeTokens();
  return user;
}

function readUser() {
  const token = localStorage.getItem('psg_auth_token') ?? '';
  return unlessRefused(async () => (await call(appId, 'GET', '/currentuser', undefined, token)).user);
}

function renew() {
  const refreshToken = localStorage.getItem('psg_refresh_token');
  if (!refreshToken) return undefined;
  return unlessRefused(async () => {
    const answer = await call(appId, 'POST', '/tokens', { refresh_token: refreshToken });
    storeTokens(answer.auth_result);
    return true;
  });
}

/**
 * Returns nothing when the server refuses the token, and throws when it cannot tell.
 *
 * @template T
 * @param {() => Promise<T>} exchange
 */
async function unlessRefused(exchange) {
  try {
    return await exchange();
  } catch (error) {
    if (error instanceof ApiFailure && [401, 403].includes(error.status)) return undefined;
    throw error;
  }
}

/** @param {{ email?: string, phone?: string }} user */
function showSignedIn(user) {
  const name = user.email || user.phone;
  show('signed-in', 'You are logged in', name ? `You use ${app.name} as ${name}.` : `You use ${app.name}.`);
  const next = destination(location.origin, undefined, app.redirect_url);
  const link = /** @type {HTMLAnchorElement} */ (element('continue'));
  link.href = next;
  link.textContent = `Continue to ${app.name}`;
  link.hidden = new URL(next).pathname === location.pathname;
}

/** @param {string} text */
function showSignedOut(text) {
  show('signed-out', 'You are not logged in', text);
  element('sign-up').hidden = !app.public_signup;
  if (appId === document.body.dataset.app) return;
  const links = /** @type {NodeListOf<HTMLAnchorElement>} */ (
    document.querySelectorAll('[data-step="signed-out"] a')
  );
  for (const link of links) {
    const target = new URL(link.href);
    target.searchParams.set('app', appId);
    link.href = target.href;
  }
}

// The tokens go only once the server has ended the session: who reads “signed out” must be.
element('sign-out').addEventListener('click', () =>
  run(
    'Signing out…',
    async () => {
      const refreshToken = localStorage.getItem('psg_refresh_token');
      if (refreshToken) {
        const query = new URLSearchParams({ refresh_token: refreshToken });
        await call(appId, 'DELETE', `/tokens?${query}`);
      }
      removeTokens();
      showSignedOut('You have signed out.');
    },
    fail,
  ),
);
element('retry').addEventListener('click', () => run('Asking the server…', start, fail));

/** @param {unknown} error */
function fail(error) {
  tell(describe(error, { mode: 'login', identifier: '', hasCode: false }).text);
}

start();
