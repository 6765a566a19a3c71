import { randomBytes } from 'node:crypto';
import {
  createPassageServer,
  outbox,
  type PassageServer,
  type PassageServerOptions,
} from '@passage-auth/server';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../port.ts';
import { launch, visit } from './chromium.ts';

let browser: Browser;

beforeAll(async () => {
  browser = await launch();
}, 60_000);
afterAll(async () => {
  await browser?.close();
}, 60_000);

it('ends a login at a page that says who is logged in, and signs out', async () => {
  await using alone = await startAlone();
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(alone.origin);
  await page.getByRole('heading', { name: 'You are not logged in' }).waitFor();
  expect(await page.getByRole('main').getByText('Acme', { exact: true }).isVisible()).toBe(true);
  await page.getByRole('link', { name: 'Create an account' }).click();
  await register(page, 'ada@example.com');

  await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
  expect(new URL(page.url()).href).toBe(`${alone.origin}/`);
  await page.getByText('You use Acme as ada@example.com.').waitFor();
  expect(await page.getByRole('link', { name: 'Continue' }).isVisible()).toBe(false);
  const { psg_refresh_token: refreshToken } = await stored(page);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('You have signed out.').waitFor();
  expect(await stored(page)).not.toHaveProperty('psg_auth_token');
  expect(await stored(page)).not.toHaveProperty('psg_refresh_token');
  expect(await page.context().cookies()).toEqual([]);
  expect(await refresh(alone, refreshToken)).toBe(401);

  await page.reload();
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByRole('button', { name: 'Log in with a passkey' }).click();
  await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
  expect(visitor.complaints).toEqual([]);
});

it('renews an expired access token, and removes tokens that the server refuses', async () => {
  await using alone = await startAlone();
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(`${alone.origin}/login?view=register`);
  await register(page, 'grace@example.com');
  await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
  const before = await stored(page);

  alone.wait(24 * 60 * 60_000);
  await page.reload();
  await page.getByText('You use Acme as grace@example.com.').waitFor();
  const after = await stored(page);
  expect(after.psg_auth_token).not.toBe(before.psg_auth_token);

  alone.wait(365 * 24 * 60 * 60_000);
  await page.reload();
  await page.getByRole('heading', { name: 'You are not logged in' }).waitFor();
  expect(await stored(page)).not.toHaveProperty('psg_refresh_token');
});

it('keeps the tokens and says so while the server cannot be asked', async () => {
  await using alone = await startAlone();
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(`${alone.origin}/login?view=register`);
  await register(page, 'alan@example.com');
  await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
  const before = await stored(page);

  await page.route('**/auth/v1/**', (route) => route.fulfill({ status: 503, body: '{}' }));
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('alert').getByText('The server is not available right now').waitFor();
  await page.reload();
  await page.getByRole('heading', { name: 'This page cannot be shown' }).waitFor();
  expect(await stored(page)).toEqual(before);
  await page.unroute('**/auth/v1/**');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('You use Acme as alan@example.com.').waitFor();
});

it('leads on to where the app wants its users, and logs in to the app of the token', async () => {
  await using alone = await startAlone({ app: { redirectUrl: '/welcome' } });
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(`${alone.origin}/login?view=register`);
  await register(page, 'edsger@example.com');
  await page.waitForURL(`${alone.origin}/welcome`);
  await page.goto(alone.origin);
  const next = page.getByRole('link', { name: 'Continue to Acme' });
  expect(await next.getAttribute('href')).toBe(`${alone.origin}/welcome`);

  await alone.server.apps.create({ name: 'Other', authOrigin: alone.origin });
  await page.reload();
  await page.getByText('You use Acme as edsger@example.com.').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByText('Welcome back to Acme.').waitFor();
  await page.goto(alone.origin);
  await page.getByText('Several apps use this server.').waitFor();
});

it.each(['light', 'dark'] as const)('is used by keyboard alone in %s colors', async (colorScheme) => {
  await using alone = await startAlone();
  await using visitor = await visit(browser, { colorScheme });
  const { page } = visitor;
  await page.goto(`${alone.origin}/login?view=register`);
  await register(page, `${colorScheme}@example.com`);
  const heading = page.getByRole('heading', { name: 'You are logged in' });
  await heading.waitFor();
  expect(await heading.evaluate((title) => title === document.activeElement)).toBe(true);
  await page.keyboard.press('Tab');
  const focus = await page.evaluate(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement as HTMLElement);
    return `${document.activeElement?.textContent}: ${outlineWidth} ${outlineStyle}`;
  });
  expect(focus).toBe('Sign out: 3px solid');
  await page.keyboard.press('Enter');
  await page.getByText('You have signed out.').waitFor();
  expect(visitor.complaints).toEqual([]);
});

interface Alone extends AsyncDisposable {
  readonly origin: string;
  readonly server: PassageServer;
  wait(milliseconds: number): void;
}

/** Starts a server that has an origin to itself, as the command does. */
async function startAlone(options: Partial<PassageServerOptions> = {}): Promise<Alone> {
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  let later = 0;
  const server = await createPassageServer({
    baseUrl: origin,
    secret: randomBytes(32).toString('base64'),
    database: ':memory:',
    delivery: outbox({ print: false }),
    rateLimits: false,
    clock: () => Date.now() + later,
    ...options,
    app: { name: 'Acme', ...options.app },
  });
  await server.listen({ port });
  return {
    origin,
    server,
    wait(milliseconds) {
      later += milliseconds;
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

async function register(page: Page, email: string): Promise<void> {
  await page.getByLabel('Email or phone').fill(email);
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await page.getByRole('button', { name: 'Not now' }).click();
}

function stored(page: Page): Promise<Record<string, string>> {
  return page.evaluate(() => ({ ...localStorage }));
}

async function refresh({ origin, server }: Alone, token: string | undefined): Promise<number> {
  const { status } = await fetch(`${origin}/auth/v1/apps/${server.created?.appId}/tokens`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ refresh_token: token }),
  });
  return status;
}
