// @ts-check
import { PassageTokenStore } from '@passageidentity/passage-js';

// Where passage-js and passage-elements keep the tokens, too.
const tokens = new PassageTokenStore();
const { passage } = document.documentElement.dataset;

/** @type {Promise<string | undefined> | undefined} */
let refreshing;

/**
 * Calls the API as the user. After a 401 it gets new tokens and tries once more; without a session it goes to the login page.
 *
 * @param {string} path
 * @param {RequestInit} [init]
 */
export async function callApi(path, init) {
  const token = await tokens.getAuthToken();
  const response = await send(path, token, init);
  if (response.status !== 401) return response;
  const newToken = await refresh(token);
  if (newToken) {
    const second = await send(path, newToken, init);
    if (second.status !== 401) return second;
  }
  await tokens.clearTokens();
  location.assign('/login');
  // The page is being left: nobody waits for an answer.
  return new Promise(() => {});
}

/** Ends the session here at once, and at the server. */
export async function signOut() {
  const refreshToken = await tokens.getRefreshToken();
  await tokens.clearTokens();
  if (refreshToken) {
    const query = new URLSearchParams({ refresh_token: refreshToken });
    await fetch(`${passage}/tokens?${query}`, { method: 'DELETE', keepalive: true }).catch(() => {});
  }
  location.assign('/login');
}

/**
 * @param {string} path
 * @param {string} token
 * @param {RequestInit} [init]
 */
function send(path, token, init) {
  const headers = new Headers(init?.headers);
  if (token) headers.set('Authorization', `Bearer ${token}`);
  return fetch(path, { ...init, headers });
}

/**
 * Returns a token newer than the refused one, or `undefined` when the session has ended. Calls that are refused together
 * share one refresh.
 *
 * @param {string} refused
 */
async function refresh(refused) {
  const current = await tokens.getAuthToken();
  if (current !== refused) return current;
  refreshing ??= requestTokens().finally(() => {
    refreshing = undefined;
  });
  return refreshing;
}

// Not `session.refresh()` of passage-js 4.1.2: once it was refused or offline, it never answers again.
async function requestTokens() {
  const refreshToken = await tokens.getRefreshToken();
  if (!refreshToken) return undefined;
  const response = await fetch(`${passage}/tokens`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ refresh_token: refreshToken }),
  });
  if (response.status === 401) return undefined;
  // A server that is down or busy says nothing about the session: keep it.
  if (!response.ok) throw new Error('The session cannot be refreshed now. Try again in a moment');
  /** @type {{ auth_result: { auth_token: string, refresh_token: string, redirect_url: string } }} */
  const { auth_result: result } = await response.json();
  await tokens.setTokens({
    authToken: result.auth_token,
    refreshToken: result.refresh_token,
    redirectUrl: result.redirect_url,
  });
  return result.auth_token;
}
