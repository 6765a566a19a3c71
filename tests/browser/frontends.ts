import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { PassageServerOptions } from '@passage-auth/server';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { build } from 'vite';
import { launch, type Visitor, visit } from './chromium.ts';
import { type Site, startSite } from './site.ts';

/** Where the page is: beside the server, or on an origin of its own. */
export type Placement = 'same origin' | 'cross origin';

export interface FrontEnd extends AsyncDisposable {
  /** Where the page is that holds the front end. */
  readonly origin: string;
  readonly site: Site;
}

/** Starts Chromium such that it finds this machine only: the retired hosts cannot be reached, whoever holds them. */
export const launchAlone = (): Promise<Browser> =>
  launch(['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost']);

/**
 * Bundles files of npm packages as an app's build does, each as `/{name}.js`. Nothing in them is replaced.
 *
 * @param files Path of each file below `node_modules/@passageidentity`, by name
 */
export async function bundle(files: Record<string, string>): Promise<Map<string, string>> {
  const path = (file: string) =>
    fileURLToPath(new URL(`../node_modules/@passageidentity/${file}`, import.meta.url));
  const result = await build({
    configFile: false,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      write: false,
      minify: false,
      lib: {
        entry: Object.fromEntries(Object.entries(files).map(([name, file]) => [name, path(file)])),
        formats: ['es'],
      },
    },
  });
  const scripts = new Map<string, string>();
  for (const file of [result].flat().flatMap((one) => ('output' in one ? one.output : []))) {
    if (file.type === 'chunk') scripts.set(`/${file.fileName}`, file.code);
  }
  return scripts;
}

/**
 * Starts a server, and a page that loads `/passage-redirect.js` and then the front end.
 *
 * @param body HTML of the page at a path, made for the id of the app
 */
export async function startFrontEnd(
  placement: Placement,
  scripts: Map<string, string>,
  body: (appId: string, path: string) => string,
  options: Partial<PassageServerOptions> = {},
): Promise<FrontEnd> {
  let site: Site;
  const pages: RequestListener = (req, res) => {
    const { pathname } = new URL(req.url ?? '', 'http://localhost');
    const script = scripts.get(pathname);
    res.setHeader('Content-Type', `${script === undefined ? 'text/html' : 'text/javascript'}; charset=utf-8`);
    const redirect = `<script src="${site.origin}/passage/passage-redirect.js"></script>`;
    res.end(script ?? `<!doctype html><title>Acme</title>${redirect}${body(site.appId, pathname)}`);
  };
  if (placement === 'same origin') {
    site = await startSite(options, pages);
    return { origin: site.origin, site, [Symbol.asyncDispose]: () => site[Symbol.asyncDispose]() };
  }
  const http = createServer(pages).listen(0);
  await once(http, 'listening');
  const origin = `http://localhost:${(http.address() as { port: number }).port}`;
  site = await startSite({ ...options, app: { ...options.app, authOrigin: origin } });
  return {
    origin,
    site,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      http.close();
      await site[Symbol.asyncDispose]();
    },
  };
}

export interface RecordedVisitor extends Visitor {
  /** Addresses asked for at hosts of the retired service. */
  readonly retired: readonly string[];
}

/** Opens a window that records what is asked of the hosts of the retired service. */
export async function visitRecorded(
  browser: Browser,
  options?: BrowserContextOptions,
): Promise<RecordedVisitor> {
  const visitor = await visit(browser, options);
  const retired: string[] = [];
  // Requests are watched, not intercepted: Playwright answers CORS preflights itself while it intercepts.
  visitor.page.context().on('request', (request) => {
    if (/(^|\.)passage\.id$|^storage\.googleapis\.com$/.test(new URL(request.url()).hostname))
      retired.push(request.url());
  });
  return { ...visitor, retired };
}
