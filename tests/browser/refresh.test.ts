import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPassageError, Passage } from '@passage-auth/core';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launchAlone, visitRecorded } from './frontends.ts';
import { startSite } from './site.ts';

const read = (path: string) => readFile(new URL(path, import.meta.url), 'utf8');

let browser: Browser;
/** The files of the recipe, as Vite builds them. */
let files: Map<string, string>;

beforeAll(async () => {
  [browser, files] = await Promise.all([launchAlone(), buildRecipe()]);
});
afterAll(() => browser?.close());

it('has the session.js of examples/community', async () => {
  const { script } = await readRecipe();
  expect(script).toBe(await read('../../examples/community/src/client/session.js'));
});

it('refreshes once for two calls that are refused together, and calls again', async () => {
  await using shop = await startShop();
  await using visitor = await visitRecorded(browser);
  const { page } = visitor;
  await logIn(page, shop);
  const first = await tokenOf(page);
  shop.expireTokens();

  const requests = watch(page);
  await page.goto(shop.origin);
  await page.getByText('ada@example.com has 2 orders.').waitFor();
  expect(requests.filter((one) => one.startsWith('401'))).toHaveLength(2);
  expect(requests.filter((one) => one.endsWith('/tokens'))).toEqual(['201 POST /tokens']);
  expect(await tokenOf(page)).not.toBe(first);
  expect(visitor.retired).toEqual([]);
  expect(visitor.complaints).toEqual([]);
});

it('keeps the session while Passage cannot answer, and refreshes afterwards', async () => {
  await using shop = await startShop();
  await using visitor = await visitRecorded(browser);
  const { page } = visitor;
  await logIn(page, shop);
  shop.expireTokens();
  await page.route('**/tokens', (route) => route.fulfill({ status: 503, body: '{}' }));
  await page.goto(shop.origin);
  await page.getByText('The session cannot be refreshed now').waitFor();
  await page.unroute('**/tokens');
  await page.reload();
  await page.getByText('ada@example.com has 2 orders.').waitFor();
});

it('goes to the login page when the session has ended, and when the user signs out', async () => {
  await using shop = await startShop();
  await using visitor = await visitRecorded(browser);
  const { page } = visitor;
  await logIn(page, shop);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(`${shop.origin}/login`);
  expect(await tokenOf(page)).toBeNull();

  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('ada@example.com has 2 orders.').waitFor();
  await shop.endSessions();
  shop.expireTokens();
  await page.goto(shop.origin);
  await page.waitForURL(`${shop.origin}/login`);
  expect(await tokenOf(page)).toBeNull();
});

/** Starts the page of the recipe at `/`, its login page, an API, and a Passage server. */
async function startShop() {
  // Server and API live 20 minutes ago until the tokens they issued and accepted have to be expired.
  let behind = 20 * 60_000;
  let listener: RequestListener = () => {};
  const clock = () => Date.now() - behind;
  const site = await startSite({ clock }, (req, res) => listener(req, res));
  const { origin, appId, apiKey } = site;
  const passage = new Passage({ baseUrl: `${origin}/passage`, appId, apiKey, clock });
  listener = async (req, res) => {
    const { pathname } = new URL(req.url ?? '', origin);
    if (!pathname.startsWith('/api/')) {
      const page = { '/': '/index.html', '/login': '/login.html' }[pathname] ?? pathname;
      res.setHeader('Content-Type', page.endsWith('.js') ? 'text/javascript' : 'text/html');
      const text = files.get(page) ?? '';
      res.end(
        text.replaceAll('https://www.example.com/passage', `${origin}/passage`).replaceAll('APP_ID', appId),
      );
      return;
    }
    res.setHeader('Content-Type', 'application/json');
    try {
      const { user } = await passage.auth.authenticate(req.headers);
      res.end(JSON.stringify(pathname === '/api/me' ? { email: user.email } : [{}, {}]));
    } catch (error) {
      res.writeHead(isPassageError(error) ? error.status : 500).end('{}');
    }
  };
  return Object.assign(site, {
    expireTokens() {
      behind = 0;
    },
    async endSessions() {
      for await (const { id } of passage.user.list()) await passage.user.revokeRefreshTokens(id);
    },
  });
}

async function logIn(page: Page, { origin }: { origin: string }): Promise<void> {
  await page.goto(origin);
  await page.waitForURL(`${origin}/login`);
  await page.getByRole('button', { name: 'Create one' }).click();
  await page.getByRole('textbox').fill('ada@example.com');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await page.getByText('ada@example.com has 2 orders.').waitFor();
}

/** Answers that the page gets from API and Passage, such as `401 GET /api/me`. */
function watch(page: Page): string[] {
  const requests: string[] = [];
  page.on('response', (response) => {
    const path = new URL(response.url()).pathname.replace(/^\/passage\/auth\/v1\/apps\/[^/]+/, '');
    if (/^\/(api\/|tokens)/.test(path))
      requests.push(`${response.status()} ${response.request().method()} ${path}`);
  });
  return requests;
}

const tokenOf = (page: Page) => page.evaluate(() => localStorage.getItem('psg_auth_token'));

async function readRecipe() {
  const page = await read('../../docs/recipes.md');
  const [, section = ''] = page.split('\n## A page that refreshes on 401\n');
  const blocks = [...section.matchAll(/^```(html|js)\n([\s\S]*?)^```$/gm)].map(([, , code = '']) => code);
  const [index = '', login = '', script = ''] = blocks;
  return { index, login, script };
}

/** Builds the recipe in a folder from which the packages are found, as an app's own build does. */
async function buildRecipe(): Promise<Map<string, string>> {
  const cache = fileURLToPath(new URL('../node_modules/.cache/', import.meta.url));
  await mkdir(cache, { recursive: true });
  const root = await mkdtemp(join(cache, 'recipe-'));
  try {
    const { index, login, script } = await readRecipe();
    await writeFile(join(root, 'index.html'), index);
    await writeFile(join(root, 'login.html'), login);
    await writeFile(join(root, 'session.js'), script);
    const result = await build({
      configFile: false,
      root,
      logLevel: 'error',
      define: { 'process.env.NODE_ENV': '"production"' },
      build: {
        write: false,
        rollupOptions: { input: ['index', 'login'].map((name) => join(root, `${name}.html`)) },
      },
    });
    const output = [result].flat().flatMap((one) => ('output' in one ? one.output : []));
    return new Map(
      output.map((file) => [`/${file.fileName}`, file.type === 'chunk' ? file.code : String(file.source)]),
    );
  } finally {
    await rm(root, { recursive: true });
  }
}
