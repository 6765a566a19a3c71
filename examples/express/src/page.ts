import { createHash } from 'node:crypto';
import type { RequestHandler } from 'express';
import style from './client/page.css?raw';
import script from './client/page.js?raw';

/** Sends the front page, whose script logs in at the Passage server that the environment names, and shows `GET /me`. */
export const frontPage: RequestHandler = (_req, res) => {
  const { login, auth } = passageUrls();
  res
    .type('html')
    .set({
      'Cache-Control': 'no-store',
      'Content-Security-Policy':
        `default-src 'none'; script-src '${hash(script)}'; style-src '${hash(style)}'; img-src data:; ` +
        `connect-src 'self' ${URL.canParse(auth) ? new URL(auth).origin : ''}; base-uri 'none'; form-action 'none'; ` +
        "frame-ancestors 'none'; require-trusted-types-for 'script'",
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
    })
    .send(document(login, auth));
};

/** Where the login page and the Auth API of this app are. */
function passageUrls() {
  const {
    PASSAGE_BASE_URL: baseUrl,
    PASSAGE_AUTH_URL: authUrl,
    PASSAGE_ISSUER: issuer,
    PASSAGE_APP_ID: appId = '',
  } = process.env;
  const base = (baseUrl || '/passage').replace(/\/+$/, '');
  const app = encodeURIComponent(appId);
  // The issuer is the public address, where the others may be names that only this process can reach.
  const auth = issuer || `${authUrl?.replace(/\/+$/, '') || `${base}/auth/v1`}/apps/${app}`;
  return { login: `${auth.replace(/\/auth\/v1\/apps\/.*$/, '')}/login?app=${app}&redirect=/`, auth };
}

/** CSP Level 3 §2.3.1: what is inline runs only with this hash. */
function hash(source: string): string {
  return `sha256-${createHash('sha256').update(source).digest('base64')}`;
}

const escapeAttribute = (text: string) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;');

const document = (login: string, auth: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Passage example</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body data-login="${escapeAttribute(login)}" data-auth="${escapeAttribute(auth)}">
<main aria-labelledby="title" aria-busy="true">
  <p class="name">Passage example</p>
  <h1 id="title" tabindex="-1">One moment…</h1>
  <p id="lead" role="status"></p>
  <noscript><p>This page needs JavaScript. Turn it on, then reload.</p></noscript>
  <div id="notice" role="alert"></div>
  <p id="elsewhere" hidden></p>
  <p class="actions">
    <a id="log-in" class="primary" hidden>Log in</a>
    <a id="register" class="secondary" hidden>Create an account</a>
    <button id="retry" class="primary" type="button" hidden>Try again</button>
    <button id="sign-out" class="secondary" type="button" hidden>Sign out</button>
  </p>
  <section id="exchange" aria-labelledby="request" hidden>
    <h2 id="request"><code>GET /me</code> <span id="status"></span></h2>
    <pre id="answer"></pre>
  </section>
</main>
<script type="module">${script}</script>
</body>
</html>
`;
