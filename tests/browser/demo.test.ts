import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { freePort } from '../port.ts';
import { launch, visit } from './chromium.ts';

// As `npm run demo` starts it, after the build that `npm test` begins with.
const main = fileURLToPath(new URL('../../examples/express/dist/main.js', import.meta.url));

vi.setConfig({ testTimeout: 60_000 });

let browser: Browser;
let demo: Awaited<ReturnType<typeof startDemo>>;

beforeAll(async () => {
  if (!existsSync(main)) throw new Error('Run "npm run build" first: the demo is tested as it is built');
  browser = await launch();
  demo = await startDemo();
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await demo?.[Symbol.asyncDispose]();
}, 60_000);

it('registers a passkey, shows the user of the protected route, signs out and logs in again', async () => {
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(demo.origin);
  await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
  await page.getByText('401 Unauthorized').waitFor();

  await register(page, 'ada@example.com');
  const shown = JSON.parse((await page.locator('#answer').textContent()) ?? '');
  expect(shown).toMatchObject({ user: { email: 'ada@example.com', status: 'active', webauthn: true } });
  expect(shown.userId).toBe(shown.user.id);
  expect(page.url()).toBe(`${demo.origin}/`);

  await signOut(page);
  expect(await tokensOf(page)).toEqual({ access: null, refresh: null, cookie: '' });

  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByRole('button', { name: 'Log in with a passkey' }).click();
  await page.getByText('as ada@example.com').waitFor();
  expect(JSON.parse((await page.locator('#answer').textContent()) ?? '').userId).toBe(shown.userId);
  expect(await visitor.countPasskeys()).toBe(1);
  expect(visitor.complaints).toEqual([]);
});

it('ends the session at Passage when the visitor signs out', async () => {
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(demo.origin);
  await register(page, 'grace@example.com');
  const { refresh } = await tokensOf(page);
  expect(refresh).toBeTruthy();
  await signOut(page);
  const answer = await demo.refresh(refresh);
  expect(answer.status).toBe(401);
});

it('refuses no token and a token whose signature was changed, and the same token unchanged passes', async () => {
  await using visitor = await visit(browser);
  await visitor.page.goto(demo.origin);
  await register(visitor.page, 'alan@example.com');
  const token = (await tokensOf(visitor.page)).access ?? '';

  expect((await demo.me(token)).status).toBe(200);
  const without = await demo.me();
  expect(without.status).toBe(401);
  expect(without.headers.get('WWW-Authenticate')).toBe('Bearer');
  const changed = await demo.me(changeSignature(token));
  expect(changed.status).toBe(401);
  expect(changed.headers.get('WWW-Authenticate')).toContain('error="invalid_token"');
});

it('says that the session has ended, and forgets it, when the token is no good', async () => {
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(demo.origin);
  await register(page, 'edsger@example.com');
  await page.evaluate(() => {
    localStorage.setItem('psg_auth_token', 'no.good.token');
    localStorage.removeItem('psg_refresh_token');
  });
  await page.reload();
  await page.getByRole('alert').getByText('Your session has ended').waitFor();
  expect(await tokensOf(page)).toEqual({ access: null, refresh: null, cookie: '' });
});

it('gets a new token when the old one is no good, and shows the user', async () => {
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(demo.origin);
  await register(page, 'barbara@example.com');
  const before = await tokensOf(page);
  await page.evaluate(() => localStorage.setItem('psg_auth_token', 'no.good.token'));
  await page.reload();
  await page.getByText('as barbara@example.com').waitFor();
  const after = await tokensOf(page);
  expect(after.access).not.toBe('no.good.token');
  expect(after.refresh).not.toBe(before.refresh);
});

it('refuses a user who was deleted, although the token is still good', async () => {
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(demo.origin);
  await register(page, 'tony@example.com');
  const token = (await tokensOf(page)).access ?? '';
  const { userId } = await (await demo.me(token)).json();

  // The app keeps what it read about a user for 30 seconds: a new process has read nothing yet.
  await demo.restart();
  expect((await demo.deleteUser(userId)).status).toBe(200);
  expect((await demo.protected(token)).status).toBe(200);
  const refused = await demo.me(token);
  expect(refused.status).toBe(401);
  expect(refused.headers.get('WWW-Authenticate')).toContain('error="invalid_token"');
  await page.reload();
  await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
  expect(await page.getByRole('alert').textContent()).toContain('your account no longer exists');
});

it('keeps users, passkeys and sessions over a restart', async () => {
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(demo.origin);
  await register(page, 'donald@example.com');

  expect(await demo.stop()).toBe(0);
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  await page.evaluate(() => dispatchEvent(new Event('pageshow')));
  await page.getByRole('alert').getByText('This app cannot be reached').waitFor();

  await demo.restart();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('as donald@example.com').waitFor();
  await signOut(page);
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByRole('button', { name: 'Log in with a passkey' }).click();
  await page.getByText('as donald@example.com').waitFor();
});

it('is used by keyboard alone, and says where the focus is', async () => {
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(demo.origin);
  await page.getByRole('link', { name: 'Create an account' }).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  expect(await focused(page)).toMatchObject({ text: 'Create an account', outline: '3px solid' });
  await page.keyboard.press('Enter');
  await page.getByLabel('Email').waitFor();
  await page.keyboard.type('niklaus@example.com');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Not now' }).waitFor();
  for (const name of ['Send me a link', 'Not now']) {
    await page.keyboard.press('Tab');
    expect(await focused(page)).toMatchObject({ text: name });
  }
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  await page.keyboard.press('Tab');
  expect(await focused(page)).toMatchObject({ text: 'Sign out', outline: '3px solid' });
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
  await expect.poll(async () => (await focused(page)).text).toBe('You are signed out');
});

it('says so, and stops, when the port is in use', async () => {
  const second = run(demo.folder, { PORT: new URL(demo.origin).port });
  expect(await second.ended).toBe(1);
  expect(second.output()).toBe(
    `Port ${new URL(demo.origin).port} is in use: stop what listens there, or set PORT to another\n`,
  );
  expect((await demo.me()).status).toBe(401);
});

it('leads to the Passage server that the environment names, and says what does not work from another origin', async () => {
  await using other = await startDemo({
    PASSAGE_BASE_URL: 'http://localhost:9/passage',
    PASSAGE_APP_ID: 'app1',
    PASSAGE_API_KEY: 'key',
  });
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(other.origin);
  const link = page.getByRole('link', { name: 'Log in' });
  await link.waitFor();
  expect(await link.getAttribute('href')).toBe('http://localhost:9/passage/login?app=app1&redirect=/');
  expect(await page.locator('#elsewhere').textContent()).toContain('Passage is at http://localhost:9');
  expect(visitor.complaints).toEqual([]);
});

/** Creates an account with a passkey, and comes back to the front page. */
async function register(page: Page, email: string): Promise<void> {
  await page.getByRole('link', { name: 'Create an account' }).click();
  await page.getByLabel('Email').fill(email);
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.getByText(`as ${email}`).waitFor();
}

async function signOut(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
}

function tokensOf(page: Page) {
  return page.evaluate(() => ({
    access: localStorage.getItem('psg_auth_token'),
    refresh: localStorage.getItem('psg_refresh_token'),
    cookie: document.cookie,
  }));
}

function focused(page: Page) {
  return page.evaluate(() => {
    const active = document.activeElement as HTMLElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(active);
    return { text: active.textContent, outline: `${outlineWidth} ${outlineStyle}` };
  });
}

/** Changes the first character of the signature: the last one holds bits that do not count. */
function changeSignature(token: string): string {
  const at = token.lastIndexOf('.') + 1;
  return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
}

/** Starts the demo in a folder of its own, on a port that was free. */
async function startDemo(environment: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'passage-demo-'));
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const startProcess = async () => {
    const started = run(folder, { PORT: String(port), ...environment });
    await started.ready;
    return started;
  };
  let running = await startProcess();
  const stop = () => {
    running.process.kill('SIGTERM');
    return running.ended;
  };
  const get = (path: string, token?: string) =>
    fetch(origin + path, token ? { headers: { Authorization: `Bearer ${token}` } } : {});
  const keys = async () => JSON.parse(await readFile(join(folder, '.passage/keys.json'), 'utf8'));
  return {
    origin,
    folder,
    stop,
    async restart() {
      await stop();
      running = await startProcess();
    },
    me: (token?: string) => get('/me', token),
    protected: (token: string) => get('/protected', token),
    async deleteUser(userId: string) {
      const { appId, apiKey } = await keys();
      return fetch(`${origin}/passage/api/v1/apps/${appId}/users/${userId}`, {
        method: 'DELETE',
        headers: { Authorization: `Bearer ${apiKey}` },
      });
    },
    async refresh(token: string | null) {
      const { appId } = await keys();
      return fetch(`${origin}/passage/auth/v1/apps/${appId}/tokens`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ refresh_token: token }),
      });
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(folder, { recursive: true });
    },
  };
}

/** Runs the demo as users do. `ready` is when it has printed its URL, `ended` gives the exit code. */
function run(cwd: string, environment: Record<string, string>) {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(PASSAGE_|NODE_ENV$|VITEST)/.test(name),
  );
  const child: ChildProcess = spawn(process.execPath, [main], {
    cwd,
    env: { ...Object.fromEntries(inherited), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const ready = new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        output += chunk;
        if (/^Ready at /m.test(output)) resolve();
      });
    }
    ended.then((code) => reject(new Error(`The demo ended with ${code}: ${output}`)));
  });
  // A start that fails on purpose is nobody's to wait for.
  ready.catch(() => {});
  return { process: child, ready, ended, output: () => output };
}
