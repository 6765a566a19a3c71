// @ts-check
import { callApi, signOut } from './session.js';

/**
 * @typedef {{ id: string, email: string, role: 'member' | 'admin' }} Member
 * @typedef {{ id: number, author: string, text: string, postedAt: string }} Notice
 */

/** @type {Member} */
let me;

/** Does what the user asked for, and says how it went. */
async function attempt(/** @type {() => Promise<string | void>} */ action) {
  try {
    element('alert').textContent = '';
    element('status').textContent = (await action()) ?? '';
  } catch (error) {
    element('alert').textContent = error instanceof Error ? error.message : String(error);
  }
}

/**
 * Calls a route of the board. A refusal becomes an error with the API's own words.
 *
 * @param {string} path
 * @param {string} [method]
 * @param {object} [body]
 */
async function call(path, method = 'GET', body) {
  const json = body && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  const response = await callApi(`/api${path}`, { method, ...json });
  const answer = await response.json().catch(() => undefined);
  if (!response.ok) throw new Error(answer?.error ?? `The board answered ${response.status}`);
  return answer;
}

async function showNotices() {
  /** @type {{ notices: Notice[] }} */
  const { notices } = await call('/notices');
  element('empty').hidden = notices.length > 0;
  element('notices').replaceChildren(...notices.map(noticeItem));
}

async function showMembers() {
  element('admin').hidden = me.role !== 'admin';
  if (me.role !== 'admin') return;
  /** @type {{ members: Member[] }} */
  const { members } = await call('/members');
  element('members').replaceChildren(...members.map(memberRow));
}

/** @param {Notice} notice */
function noticeItem({ id, author, text, postedAt }) {
  const when = new Date(postedAt).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
  const item = make('li', make('p', text), make('p', make('span', `${author}, ${when}`)));
  item.lastElementChild?.classList.add('muted');
  if (me.role === 'admin') {
    const remove = button('Remove', `Remove the notice of ${author}: ${text}`, async () => {
      await call(`/notices/${id}`, 'DELETE');
      await showNotices();
      element('main').focus();
      return 'The notice was removed.';
    });
    item.lastElementChild?.append(remove);
  }
  return item;
}

/** @param {Member} member */
function memberRow({ id, email, role }) {
  const next = role === 'admin' ? 'member' : 'admin';
  const change = button(`Make ${next}`, `Make ${email} ${next}`, async () => {
    await call(`/members/${id}/role`, 'PUT', { role: next });
    await showMembers();
    return `${email} is ${next} now.`;
  });
  return make('tr', make('td', email), make('td', role), make('td', id === me.id ? 'You' : change));
}

/**
 * @param {string} text
 * @param {string} label What screen readers say, since the text is the same on every row
 * @param {() => Promise<string>} action
 */
function button(text, label, action) {
  const made = make('button', text);
  made.setAttribute('type', 'button');
  made.setAttribute('aria-label', label);
  made.addEventListener('click', () => attempt(action));
  return made;
}

/**
 * @param {string} name
 * @param {(Node | string)[]} children
 */
function make(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

/** @param {string} id */
function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}`);
  return found;
}

element('sign-out').addEventListener('click', () => attempt(signOut));
element('post').addEventListener('submit', (event) => {
  event.preventDefault();
  const input = /** @type {HTMLTextAreaElement} */ (element('text'));
  attempt(async () => {
    await call('/notices', 'POST', { text: input.value });
    input.value = '';
    await showNotices();
    return 'The notice was posted.';
  });
});

await attempt(async () => {
  me = await call('/me');
  element('who').textContent = `You are ${me.email}, ${me.role === 'admin' ? 'an admin' : 'a member'}.`;
  // Both at once: if the token has expired, they share one refresh.
  await Promise.all([showNotices(), showMembers()]);
});
element('main').removeAttribute('aria-busy');
