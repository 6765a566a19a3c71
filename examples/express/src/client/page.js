// @ts-check
// The front page: who the API says you are, with the tokens where Passage front ends keep them.

const login = new URL(document.body.dataset.login ?? '', location.href);
const auth = new URL(document.body.dataset.auth ?? '', location.href);

/** Passage could not be asked, so nobody knows yet whether the session still counts. */
class Unreachable extends Error {}

/**
 * @typedef {{ status: number, text: string, body: any }} Answer
 * @typedef {'log-in' | 'register' | 'retry' | 'sign-out'} Action
 */

async function show() {
  try {
    let answer = await askMe();
    const hadToken = Boolean(accessToken());
    if (answer.status === 401 && (await refresh())) answer = await askMe();
    showAnswer(answer, hadToken);
  } catch (error) {
    element('exchange').hidden = true;
    const at = error instanceof Unreachable ? `Passage (${auth.host})` : 'This app';
    render('No answer', '', ['retry'], `${at} cannot be reached. Is it running? Nothing was changed.`);
  }
}

/** @returns {Promise<Answer>} */
async function askMe() {
  const token = accessToken();
  const headers = token ? { Authorization: `Bearer ${token}` } : undefined;
  const response = await fetch('/me', { cache: 'no-store', ...(headers && { headers }) });
  const body = await response.json().catch(() => undefined);
  return { status: response.status, text: response.statusText, body };
}

/**
 * @param {Answer} answer
 * @param {boolean} hadToken
 */
function showAnswer(answer, hadToken) {
  element('status').textContent = `${answer.status} ${answer.text}`;
  element('status').className = answer.status === 200 ? 'good' : 'bad';
  element('answer').textContent = JSON.stringify(answer.body, null, 2) ?? 'No JSON';
  element('exchange').hidden = false;
  if (answer.status === 200) {
    const { user, userId } = answer.body;
    const name = user?.email || user?.phone || userId;
    return render('You are logged in', `as ${name}. This is what the protected route knows about you:`, [
      'sign-out',
    ]);
  }
  if (answer.status === 401) {
    clearTokens();
    const ended = 'Your session has ended, or your account no longer exists. Log in again.';
    return showSignedOut(hadToken ? ended : '');
  }
  const reason =
    answer.status === 403
      ? 'This account is deactivated. Contact the app’s support.'
      : 'The app cannot tell who you are right now. Try again in a moment.';
  render('No entry', '', ['retry', 'sign-out'], reason);
}

/** @param {string} notice */
function showSignedOut(notice) {
  const text =
    'The protected route refuses requests without a token. Log in with a passkey, and it knows you.';
  render('You are signed out', text, ['log-in', 'register'], notice);
  if (login.origin === location.origin) return;
  element('elsewhere').textContent =
    `Passage is at ${login.origin}, this page at ${location.origin}. A browser keeps the tokens of a login for the ` +
    'origin it happened at, so logging in there does not log you in here. Serve both from one origin, for example ' +
    'by a reverse proxy, or log in on this page with Passage.js.';
  element('elsewhere').hidden = false;
}

/**
 * @param {string} title
 * @param {string} lead
 * @param {Action[]} actions
 * @param {string} notice
 */
function render(title, lead, actions, notice = '') {
  element('title').textContent = title;
  element('lead').textContent = lead;
  element('notice').textContent = notice;
  element('elsewhere').hidden = true;
  for (const action of /** @type {Action[]} */ (['log-in', 'register', 'retry', 'sign-out'])) {
    element(action).hidden = !actions.includes(action);
  }
  document.querySelector('main')?.removeAttribute('aria-busy');
}

// Tokens, kept as Passage.js keeps them

function accessToken() {
  return localStorage.getItem('psg_auth_token');
}

/** Gets new tokens for the refresh token. Says whether it did. */
async function refresh() {
  const token = localStorage.getItem('psg_refresh_token');
  if (!token) return false;
  const response = await callPassage('/tokens', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ refresh_token: token }),
  });
  if (response.status === 429 || response.status >= 500) throw new Unreachable();
  if (!response.ok) return false;
  const { auth_result: result } = await response.json();
  localStorage.setItem('psg_auth_token', result.auth_token);
  localStorage.setItem('psg_refresh_token', result.refresh_token);
  setCookie(result.auth_token, '');
  return true;
}

async function signOut() {
  const token = localStorage.getItem('psg_refresh_token');
  clearTokens();
  const query = new URLSearchParams({ refresh_token: token ?? '' });
  const revoked =
    !token ||
    (await callPassage(`/tokens?${query}`, { method: 'DELETE' }).then(
      (response) => response.ok,
      () => false,
    ));
  await show();
  element('title').focus();
  if (!revoked) {
    element('notice').textContent =
      'You are signed out in this browser, but Passage did not answer: it ends the session by itself when it expires.';
  }
}

/**
 * @param {string} path
 * @param {RequestInit} init
 */
function callPassage(path, init) {
  return fetch(`${auth}${path}`, { ...init, credentials: 'omit' }).catch(() => {
    throw new Unreachable();
  });
}

function clearTokens() {
  localStorage.removeItem('psg_auth_token');
  localStorage.removeItem('psg_refresh_token');
  setCookie('', '; max-age=0');
}

/**
 * @param {string} value
 * @param {string} attributes
 */
function setCookie(value, attributes) {
  const secure = location.protocol === 'https:' ? '; secure' : '';
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is not in every browser.
  document.cookie = `psg_auth_token=${value}; path=/; samesite=lax${secure}${attributes}`;
}

/** @param {string} id */
function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}`);
  return found;
}

element('log-in').setAttribute('href', login.href);
element('register').setAttribute('href', `${login.href}&view=register`);
element('retry').addEventListener('click', show);
element('sign-out').addEventListener('click', signOut);
// Another tab logged in or out.
addEventListener('storage', (event) => event.key === 'psg_auth_token' && show());
// Also when the browser brings the page back as it was left.
addEventListener('pageshow', show);
