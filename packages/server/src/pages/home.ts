import { html } from 'hono/html';
import { page } from './page.ts';

/**
 * Returns the document of `/`: whether this browser is logged in, and what can be done about it.
 *
 * @param path Path that the server lives below, without a trailing slash.
 * @param appId App to show if neither the URL nor a token names one.
 */
export function homeDocument(path: string, appId?: string) {
  return page(
    { path, title: 'Passage server', script: 'home.js', appId },
    html`
  <div data-step="signed-in" hidden>
    <a id="continue" class="primary" hidden></a>
    <button id="sign-out" class="secondary" type="button">Sign out</button>
  </div>

  <div data-step="signed-out" hidden>
    <a id="log-in" class="primary" href="${path}/login">Log in</a>
    <p id="sign-up" class="foot">New here? <a class="link" href="${path}/login?view=register">Create an account</a></p>
  </div>

  <div data-step="unknown" hidden>
    <button id="retry" class="primary" type="button">Try again</button>
  </div>
`,
  );
}
