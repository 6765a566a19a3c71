import { html } from 'hono/html';
import { page } from './page.ts';

/**
 * Returns the document of `/login`. Its scripts fill in what depends on the app.
 *
 * @param path Path that the server lives below, without a trailing slash.
 * @param appId App to log in to if the URL names none.
 */
export function loginDocument(path: string, appId?: string) {
  return page(
    { path, title: 'Log in', script: 'login.js', appId },
    html`
  <form id="start-form" data-step="start" hidden novalidate>
    <label id="identifier-label" for="identifier">Email</label>
    <input id="identifier" name="identifier" autocomplete="username" autocapitalize="none" spellcheck="false" aria-describedby="notice">
    <button id="use-passkey" class="primary">${key}<span id="passkey-label"></span></button>
    <p id="or" class="or"><span>or</span></p>
    <button id="send-code" class="secondary" type="button">Send me a code</button>
    <button id="send-link" class="secondary" type="button">Send me a link</button>
    <p id="switch" class="foot"><span id="switch-text"></span> <button id="switch-button" class="link" type="button"></button></p>
  </form>

  <form id="code-form" data-step="enter-code" hidden novalidate>
    <label for="code">Code</label>
    <input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="32" aria-describedby="notice">
    <button class="primary">Continue</button>
    <p class="foot"><button id="resend" class="link" type="button">Send a new code</button> <button class="link back" type="button">Back</button></p>
  </form>

  <div data-step="inbox" hidden>
    <p class="foot"><button class="link back" type="button">Back</button></p>
  </div>

  <div data-step="link" hidden>
    <button id="open-link" class="primary" type="button"></button>
    <p class="foot"><button id="link-start" class="link" type="button">Log in another way</button></p>
  </div>

  <div data-step="offer" hidden>
    <button id="add-passkey" class="primary" type="button">${key}<span>Create a passkey</span></button>
    <p class="foot"><button class="link skip" type="button">Not now</button></p>
  </div>

  <div data-step="prove" hidden>
    <button id="send-proof" class="primary" type="button">Send me a link</button>
    <p class="foot"><button class="link skip" type="button">Not now</button></p>
  </div>

  <div data-step="proof-sent" hidden>
    <p class="foot"><button id="resend-proof" class="link" type="button">Send a new link</button> <button class="link skip" type="button">Continue without it</button></p>
  </div>
`,
  );
}

const key = html`<svg aria-hidden="true" width="20" height="20" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><circle cx="8" cy="15" r="4.5"/><path d="m11.3 11.7 8.2-8.2M16 7l3.5 3.5M13 10l2 2"/></svg>`;
