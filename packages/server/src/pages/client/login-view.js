// @ts-check
// What the pages show: the app, one step at a time, what went wrong, and that it is waiting.

/** @param {string} id */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}`);
  return found;
}

const title = element('title');
const notice = element('notice');
const status = element('status');
let busy = false;
let steps = 0;

/** Grows with each step, so that an answer that comes late can see that nobody waits for it. */
export function currentStep() {
  return steps;
}

/**
 * Shows one step and nothing else, and puts the focus where the visitor goes on.
 *
 * @param {'problem' | 'start' | 'enter-code' | 'inbox' | 'link' | 'offer' | 'prove' | 'proof-sent' | 'done' | 'signed-in' | 'signed-out' | 'unknown'} step
 * @param {string} heading
 * @param {string} text
 */
export function show(step, heading, text) {
  steps++;
  for (const part of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-step]'))) {
    part.hidden = part.dataset.step !== step;
  }
  title.textContent = heading;
  element('lead').textContent = text;
  document.title = heading;
  clearNotice();
  const field = document.querySelector(`[data-step="${step}"] input`);
  (field instanceof HTMLInputElement ? field : title).focus();
}

/** @param {{ name: string }} app */
export function showApp({ name }) {
  element('app-name').textContent = name;
  element('mark').textContent = Array.from(name.trim())[0]?.toUpperCase() ?? '';
}

/** @param {{ auth_origin: string }} app */
export function isHere({ auth_origin: origin }) {
  return URL.canParse(origin) && new URL(origin).origin === location.origin;
}

/**
 * Links to the same page on the app's `auth_origin`.
 *
 * @param {{ name: string, auth_origin: string }} app
 */
export function showOtherOrigin({ name, auth_origin: origin }) {
  show('problem', 'Wrong address', '');
  const target = URL.canParse(origin) ? new URL(origin) : undefined;
  if (!target || !/^https?:$/.test(target.protocol)) return;
  const link = document.createElement('a');
  link.className = 'primary';
  link.href = new URL(location.pathname + location.search, target).href;
  link.textContent = `Go to ${target.host}`;
  tell(`You are at ${location.origin}, but ${name} logs users in at ${origin}.`, link);
}

function clearNotice() {
  notice.replaceChildren();
  for (const input of document.querySelectorAll('[aria-invalid]')) input.removeAttribute('aria-invalid');
}

/**
 * Shows a notice that screen readers announce at once, with an action.
 *
 * @param {string} text
 * @param {Node} [action]
 */
export function tell(text, action) {
  const paragraph = document.createElement('p');
  paragraph.textContent = text;
  notice.replaceChildren(paragraph, ...(action ? [action] : []));
}

/**
 * Says what is wrong with a field, and goes there.
 *
 * @param {HTMLInputElement} input
 * @param {string} text
 */
export function tellField(input, text) {
  clearNotice();
  tell(text);
  input.setAttribute('aria-invalid', 'true');
  input.focus();
}

/**
 * @param {string} label
 * @param {() => unknown} act
 */
export function button(label, act) {
  const created = document.createElement('button');
  created.type = 'button';
  created.className = 'link';
  created.textContent = label;
  created.addEventListener('click', act);
  return created;
}

/**
 * Runs one exchange with the server, one at a time.
 *
 * @param {string} waiting what to say meanwhile
 * @param {() => Promise<void>} exchange
 * @param {(error: unknown) => void} fail
 */
export async function run(waiting, exchange, fail) {
  if (busy) return;
  busy = true;
  clearNotice();
  status.textContent = waiting;
  try {
    await exchange();
  } catch (error) {
    fail(error);
  } finally {
    busy = false;
    status.textContent = '';
  }
}
