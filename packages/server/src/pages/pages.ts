import { Hono } from 'hono';
import { etag } from 'hono/etag';
import homeJs from './client/home.js?raw';
import loginCss from './client/login.css?raw';
import loginJs from './client/login.js?raw';
import loginApiJs from './client/login-api.js?raw';
import loginSessionJs from './client/login-session.js?raw';
import loginTextsJs from './client/login-texts.js?raw';
import loginTypingJs from './client/login-typing.js?raw';
import loginViewJs from './client/login-view.js?raw';
import redirectJs from './client/passage-redirect.js?raw';
import { homeDocument } from './home.ts';
import { findLocale } from './locales/locales.ts';
import { loginDocument } from './login.ts';

export interface PagesOptions {
  /** Path that the server lives below, without a trailing slash; empty at the root. */
  path: string;
  /** Finds the app to show if none is named, which works only if there is just one. */
  onlyApp(): Promise<string | undefined>;
}

const scripts: Record<string, string> = {
  '/home.js': homeJs,
  '/login.js': loginJs,
  '/login-api.js': loginApiJs,
  '/login-session.js': loginSessionJs,
  '/login-texts.js': loginTextsJs,
  '/login-typing.js': loginTypingJs,
  '/login-view.js': loginViewJs,
  '/passage-redirect.js': redirectJs,
};

// The URL may contain the secret of a link, so the page is not cached and sends no referrer.
const documentHeaders = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Permissions-Policy': 'publickey-credentials-create=(self), publickey-credentials-get=(self)',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
};

// Front ends of any origin load the redirect and the locale texts; they are the same for everyone.
const assetHeaders = {
  'Access-Control-Allow-Origin': '*',
  'Cache-Control': 'public, max-age=300',
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'X-Content-Type-Options': 'nosniff',
};

/** Returns the routes of `/`, `/login`, `/passage-redirect.js` and the locale texts of the official front ends. */
export function pages({ path, onlyApp }: PagesOptions): Hono {
  const app = new Hono();
  app.get('/', async (c) => c.html(homeDocument(path, await onlyApp()), 200, documentHeaders));
  app.get('/login', async (c) => c.html(loginDocument(path, await onlyApp()), 200, documentHeaders));
  for (const [name, source] of Object.entries(scripts)) {
    app.get(name, etag(), (c) => c.body(source, 200, { ...assetHeaders, 'Content-Type': javascript }));
  }
  app.get('/login.css', etag(), (c) => c.body(loginCss, 200, { ...assetHeaders, 'Content-Type': css }));
  app.get('/locales/passage-auth/v2/:file{.+\\.json}', etag(), (c) => {
    const locale = findLocale(c.req.param('file').replace(/\.json$/, ''));
    return locale ? c.json(locale, 200, assetHeaders) : c.notFound();
  });
  return app;
}

const javascript = 'text/javascript; charset=utf-8';
const css = 'text/css; charset=utf-8';
