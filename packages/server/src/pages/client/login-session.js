// @ts-check
// Stores the tokens where Passage front ends look for them, and finds the page to go to after a login.

/**
 * @typedef {{ auth_token: string, refresh_token?: string, redirect_url?: string }} AuthResult
 */

/**
 * Keeps the tokens as passage-js does: in local storage, the access token in a session cookie too.
 *
 * @param {AuthResult} result
 */
export function storeTokens(result) {
  localStorage.setItem('psg_auth_token', result.auth_token);
  if (result.refresh_token) localStorage.setItem('psg_refresh_token', result.refresh_token);
  else localStorage.removeItem('psg_refresh_token');
  const secure = location.protocol === 'https:' ? '; secure' : '';
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is not in every browser.
  document.cookie = `psg_auth_token=${result.auth_token}; path=/; samesite=lax${secure}`;
}

/** Removes what `storeTokens` left. */
export function removeTokens() {
  localStorage.removeItem('psg_auth_token');
  localStorage.removeItem('psg_refresh_token');
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is not in every browser.
  document.cookie = 'psg_auth_token=; path=/; max-age=0';
}

/**
 * Remembers which passkey of which user this browser has, as passage-js does.
 *
 * @param {string} userId
 * @param {string} credentialId
 */
export function rememberPasskey(userId, credentialId) {
  /** @type {Record<string, string>} */
  let known = {};
  try {
    known = JSON.parse(localStorage.getItem('psg_cred_obj') ?? '{}');
  } catch {
    // If it is damaged, start with an empty one.
  }
  localStorage.setItem('psg_cred_obj', JSON.stringify({ ...known, [userId]: credentialId }));
}

/**
 * Returns the first place to go that stays on this origin.
 *
 * The page's own `?redirect=` may only be a path. What the app says may be a whole address.
 *
 * @param {string} origin
 * @param {string | null | undefined} asked from the page's address: whoever made the link chose it
 * @param {string | undefined} configured
 */
export function destination(origin, asked, configured) {
  if (asked?.startsWith('/') && sameOrigin(asked, origin)) return new URL(asked, origin).href;
  if (configured && sameOrigin(configured, origin)) return new URL(configured, origin).href;
  return `${origin}/`;
}

/**
 * The URL parser decides, as in the browser: it reads `//`, `/\` and `/<tab>/` as another host.
 *
 * @param {string} address
 * @param {string} origin
 */
function sameOrigin(address, origin) {
  return URL.canParse(address, origin) && new URL(address, origin).origin === origin;
}
