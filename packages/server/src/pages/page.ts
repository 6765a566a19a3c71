import { html } from 'hono/html';

export interface PageOptions {
  /** Path that the server lives below, without a trailing slash. */
  path: string;
  title: string;
  /** Script that fills in what depends on the app. */
  script: 'home.js' | 'login.js';
  /** App of the page if neither its URL nor a token names one. */
  appId: string | undefined;
}

type Markup = ReturnType<typeof html>;

/** Returns a document with one card: app, heading, error, and the steps, of which the script shows one at a time. */
export function page({ path, title, script, appId = '' }: PageOptions, steps: Markup) {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="icon" href="${icon}">
<link rel="stylesheet" href="${path}/login.css">
<script type="module" src="${path}/${script}"></script>
</head>
<body data-app="${appId}">
<main aria-labelledby="title">
  <p class="app"><span id="mark" aria-hidden="true"></span><span id="app-name"></span></p>
  <h1 id="title" tabindex="-1">${title}</h1>
  <p id="lead"></p>
  <noscript><p>Passkeys need JavaScript. Turn it on for this page, then reload.</p></noscript>
  <div id="notice" role="alert"></div>
${steps}
  <p id="status" role="status"></p>
</main>
</body>
</html>
`;
}

const icon = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#5b76f0" stroke-width="2.4" stroke-linecap="round"><circle cx="8" cy="15" r="4.5"/><path d="m11.3 11.7 8.2-8.2M16 7l3.5 3.5"/></svg>',
)}`;
