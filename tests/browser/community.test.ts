import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Passage } from '@passage-auth/core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createApp } from '../../examples/community/src/app.ts';
import { seedAdmin } from '../../examples/community/src/roles.ts';
import { launchAlone, visitRecorded } from './frontends.ts';
import { startSite } from './site.ts';

const client = fileURLToPath(new URL('../../examples/community/dist/client/', import.meta.url));

let browser: Browser;

beforeAll(async () => {
  if (!existsSync(client))
    throw new Error('Run "npm run build" first: the pages are tested as they are built');
  browser = await launchAlone();
});
afterAll(() => browser?.close());

it('registers a member by passkey, who posts, is refused what admins do, and signs out', async () => {
  await using board = await startBoard();
  await using visitor = await visitRecorded(browser);
  const { page } = visitor;
  await register(page, board.origin, 'ada@example.com');
  await page.getByText('You are ada@example.com, a member.').waitFor();
  await post(page, 'Tea at four');
  expect(await page.getByRole('button', { name: /^Remove/ }).count()).toBe(0);
  expect(await page.getByRole('heading', { name: 'Members' }).isVisible()).toBe(false);
  // Buttons that are hidden protect nothing: the API refuses.
  expect(await statusOf(page, 'GET', '/api/members')).toBe(403);
  expect(await statusOf(page, 'DELETE', '/api/notices/1')).toBe(403);

  await page.getByRole('link', { name: 'Profile' }).click();
  await expect.poll(() => page.getByTestId('profile-email-input').inputValue()).toBe('ada@example.com');
  await page.getByRole('link', { name: 'Board' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(`${board.origin}/login`);
  expect(await page.evaluate(() => localStorage.getItem('psg_auth_token'))).toBeNull();
  expect(await page.evaluate(() => localStorage.getItem('psg_refresh_token'))).toBeNull();
  await page.goto(board.origin);
  await page.waitForURL(`${board.origin}/login`);
  expect(visitor.retired).toEqual([]);
  expect(visitor.complaints.filter(isUnexpected)).toEqual([]);
});

it('makes the owner of the seeded address an admin, who removes notices and promotes members', async () => {
  await using board = await startBoard();
  await using member = await visitRecorded(browser);
  await register(member.page, board.origin, 'ada@example.com');
  await post(member.page, 'Tea at four');

  await using admin = await visitRecorded(browser);
  const { page } = admin;
  await page.goto(board.messages.find(({ to }) => to === 'admin@example.com')?.url ?? 'no link');
  await page.getByRole('button', { name: 'Skip' }).click();
  await page.getByText('You are admin@example.com, an admin.').waitFor();
  await page.getByRole('button', { name: 'Make ada@example.com admin' }).click();
  await page.getByText('ada@example.com is admin now.').waitFor();
  await page.getByRole('button', { name: 'Remove the notice of ada@example.com: Tea at four' }).click();
  await page.getByText('There are no notices yet.').waitFor();

  await member.page.reload();
  await member.page.getByText('You are ada@example.com, an admin.').waitFor();
  for (const visitor of [member, admin]) {
    expect(visitor.retired).toEqual([]);
    expect(visitor.complaints.filter(isUnexpected)).toEqual([]);
  }
});

it('is used by keyboard alone once logged in', async () => {
  await using board = await startBoard();
  await using visitor = await visitRecorded(browser);
  const { page } = visitor;
  await register(page, board.origin, 'ada@example.com');
  await page.getByText('There are no notices yet.').waitFor();
  for (const name of ['Skip to the board', 'Profile', 'Sign out']) {
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe(name);
  }
  await page.keyboard.press('Tab');
  await page.keyboard.type('Tea at four');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByText('The notice was posted.').waitFor({ state: 'attached' });
  await page.getByText('Tea at four').waitFor();
});

/** The Elements ask a CDN for the style of their phone field, which this app does not use: the page refuses it. */
const isUnexpected = (complaint: string) => !complaint.includes('/intl-tel-input@');

async function startBoard() {
  let app: ReturnType<typeof createApp> | undefined;
  const site = await startSite(
    {
      app: {
        loginUrl: '/login',
        allowedLinkPaths: ['/login', '/profile'],
        allowedIdentifier: 'email',
        userMetadataSchema: [{ fieldName: 'role', type: 'string' }],
      },
    },
    (req, res) => {
      res.removeHeader('Content-Type');
      app?.(req, res);
    },
  );
  const { appId, apiKey, origin } = site;
  const passage = new Passage({ baseUrl: `${origin}/passage`, appId, apiKey });
  await seedAdmin(passage, 'admin@example.com');
  app = createApp(passage, { baseUrl: `${origin}/passage`, appId }, client);
  return site;
}

async function register(page: Page, origin: string, email: string): Promise<void> {
  await page.goto(origin);
  await page.waitForURL(`${origin}/login`);
  await page.getByRole('button', { name: 'Create one' }).click();
  await page.getByRole('textbox').fill(email);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await page.getByText(`You are ${email}`).waitFor();
}

async function post(page: Page, text: string): Promise<void> {
  await page.getByLabel('New notice').fill(text);
  await page.getByRole('button', { name: 'Post' }).click();
  await vi.waitUntil(() => page.getByRole('listitem').filter({ hasText: text }).isVisible(), 20_000);
}

/** Status of a request that the page makes with its token, whatever it shows. */
const statusOf = (page: Page, method: string, path: string) =>
  page.evaluate(
    async ([path, method]) => {
      const headers = { Authorization: `Bearer ${localStorage.getItem('psg_auth_token')}` };
      return (await fetch(path, { method, headers })).status;
    },
    [path, method] as const,
  );
