import { json } from '../answer.ts';
import { WireError } from '../errors.ts';
import { cacheable } from '../http/cache.ts';
import type { HttpRouter } from '../http/hono.ts';
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
  'Content-Type': 'text/html; charset=UTF-8',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Permissions-Policy': 'publickey-credentials-create=(self), publickey-credentials-get=(self)',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
};

// Front ends of any origin load the redirect and the locale texts; they are the same for everyone.
const assetHeaders = {
  'Access-Control-Allow-Origin': '*',
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'X-Content-Type-Options': 'nosniff',
};

/** Adds the routes of `/`, `/login`, `/passage-redirect.js` and the locale texts of the official front ends. */
export function addPages(router: HttpRouter, { path, onlyApp }: PagesOptions): void {
  for (const [name, document] of Object.entries({ '/': homeDocument, '/login': loginDocument })) {
    router.get(name, async () => ({
      status: 200,
      headers: { ...documentHeaders },
      content: String(await document(path, await onlyApp())),
    }));
  }
  for (const [name, source] of Object.entries(scripts)) addAsset(router, name, source, 'text/javascript');
  addAsset(router, '/login.css', loginCss, 'text/css');
  router.get('/locales/passage-auth/v2/:file{.+\\.json}', ({ req }) => {
    const locale = findLocale(req.param('file')?.replace(/\.json$/, '') ?? '');
    if (!locale) throw new WireError('not_found');
    return cacheable(req.raw, json(locale, 200, assetHeaders));
  });
}

function addAsset(router: HttpRouter, path: string, content: string, type: string): void {
  const headers = { ...assetHeaders, 'Content-Type': `${type}; charset=utf-8` };
  router.get(path, ({ req }) => cacheable(req.raw, { status: 200, headers: { ...headers }, content }));
}
