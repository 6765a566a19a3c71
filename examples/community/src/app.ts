import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Passage } from '@passage-auth/express';
import express from 'express';
import { createApi } from './api.ts';

/** Where browsers find the Passage server and its app. */
export interface PublicSettings {
  baseUrl: string;
  appId: string;
}

/** @param folder Folder with the pages, as Vite built them. */
export function createApp(passage: Passage, settings: PublicSettings, folder: string) {
  const app = express().disable('x-powered-by');
  app.use('/api', createApi(passage));
  app.use('/assets', express.static(join(folder, 'assets'), { immutable: true, maxAge: '1y' }));
  for (const [path, page] of Object.entries({ '/': 'index', '/login': 'login', '/profile': 'profile' })) {
    const html = fill(readFileSync(join(folder, `${page}.html`), 'utf8'), settings);
    app.get(path, (_req, res) => {
      res.set(headersOf(settings)).type('html').send(html);
    });
  }
  return app;
}

/** The pages are built once and run anywhere, so the server puts in what only it knows. */
function fill(html: string, { baseUrl, appId }: PublicSettings): string {
  return html.replaceAll('%PASSAGE_BASE_URL%', baseUrl).replaceAll('%PASSAGE_APP_ID%', appId);
}

/** Tokens are in the browser's storage: no script but the app's own may run. */
function headersOf({ baseUrl }: PublicSettings): Record<string, string> {
  const { origin } = new URL(baseUrl);
  return {
    'Cache-Control': 'no-cache',
    'Content-Security-Policy':
      `default-src 'none'; script-src 'self' ${origin}; connect-src 'self' data: ${origin}; img-src 'self' data:; ` +
      // passage-elements puts styles into the page, and fetches its icons from data: URLs.
      "style-src 'self' 'unsafe-inline'; font-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  };
}
