import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { PassageServerOptions } from '@passage-auth/server';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  bundle,
  type FrontEnd,
  launchAlone,
  type Placement,
  startFrontEnd,
  visitRecorded,
} from './frontends.ts';

/** What the phone field loads from a CDN, of the version that npm chose for the elements. */
const elements = realpathSync(new URL('../node_modules/@passageidentity/passage-elements/', import.meta.url));
const phoneFormats = createRequire(join(elements, 'index.js')).resolve('intl-tel-input/utils');

let browser: Browser;
let scripts: Map<string, string>;

beforeAll(async () => {
  const file = (element: string) => `passage-elements/dist/package/passage-${element}/index.es.js`;
  const elements = ['auth', 'login', 'register', 'profile'].map((element) => [element, file(element)]);
  [browser, scripts] = await Promise.all([
    launchAlone(),
    bundle({ ...Object.fromEntries(elements), client: 'passage-js/dist/index.js' }),
  ]);
});
afterAll(() => browser?.close());

/** One page for each element, such as `/login` and, in German, `/login/de`; the home page is empty. */
const body = (appId: string, path: string) => {
  const [element, lang = 'en'] = path.split('/').slice(1);
  if (!element) return '';
  return `<passage-${element} app-id="${appId}" lang="${lang}"></passage-${element}>
    <script type="module" src="/${element}.js"></script>`;
};

const start = (placement: Placement, options: Partial<PassageServerOptions> = {}) =>
  startFrontEnd(placement, scripts, body, options);

describe.each<Placement>(['same origin', 'cross origin'])('passage-elements from the %s', (placement) => {
  it('registers a passkey, signs out, logs in with it, and shows the user', async () => {
    await using frontEnd = await start(placement);
    await using visitor = await visitRecorded(browser);
    const { page } = visitor;
    await page.goto(`${frontEnd.origin}/auth`);
    await page.getByRole('button', { name: 'Create one' }).click();
    await page.getByText('Create an account').waitFor();
    await registerPasskey(page, frontEnd);
    expect(await visitor.countPasskeys()).toBe(1);

    await signOut(page, frontEnd);
    await page.goto(`${frontEnd.origin}/profile`);
    await page.getByText('No passkeys').waitFor();

    await page.goto(`${frontEnd.origin}/login`);
    await page.getByText('Welcome back. Log in as').filter({ hasText: 'ada@example.com' }).waitFor();
    await page.getByRole('button', { name: 'Continue' }).click();
    await arrive(page, frontEnd);

    await page.goto(`${frontEnd.origin}/profile`);
    await showsUser(page);
    await page.getByText('This device').waitFor();
    expect(visitor.retired).toEqual([]);
  });
});

describe('passage-elements', () => {
  it('says in German that a code is wrong, and takes the right one', async () => {
    await using frontEnd = await start('same origin');
    await using visitor = await visitRecorded(browser);
    const { page } = visitor;
    await page.goto(`${frontEnd.origin}/register/de`);
    await page.getByText('E-Mail-Adresse oder Telefonnummer').first().waitFor();
    await page.getByRole('textbox').fill('ada@example.com');
    await page.getByRole('button', { name: 'Weiter' }).click();
    await page.getByRole('button', { name: 'Mit Code registrieren' }).click();
    await page.getByText('Wir haben einen Code an ada@example.com gesendet.').waitFor();
    const { code = '', language } = await newest(frontEnd);
    expect(language).toBe('de');
    await page.getByTestId('otp-single-input-0').focus();
    await page.keyboard.type(code === '000000' ? '111111' : '000000');
    await page.getByText('Dieser Code ist falsch oder nicht mehr gültig.').waitFor();
    // The element sends whatever six digits it holds after each one that is typed, so the wrong ones go first.
    for (const _ of code) await page.keyboard.press('Backspace');
    await page.keyboard.type(code);
    await arrive(page, frontEnd);
    await page.goto(`${frontEnd.origin}/profile/de`);
    await page.getByText('Keine Passkeys').waitFor();
    await showsUser(page);
    expect(visitor.retired).toEqual([]);
  });

  it('logs in the page that asks for a link, once the link is opened in another window', async () => {
    const app = { authMethods: { otp: { enabled: false } }, allowedLinkPaths: ['/register'] };
    await using frontEnd = await start('same origin', { app });
    await using asking = await visitRecorded(browser);
    await using opening = await visitRecorded(browser);
    await asking.page.goto(`${frontEnd.origin}/register`);
    await asking.page.getByRole('textbox').fill('ada@example.com');
    await asking.page.getByRole('button', { name: 'Continue' }).click();
    await asking.page.getByRole('button', { name: 'Sign up with a link by email' }).click();
    await asking.page.getByText('Check your email to sign up').waitFor();

    await opening.page.goto((await newest(frontEnd)).url ?? 'no link was sent');
    await opening.page.getByRole('button', { name: 'Skip' }).click();
    for (const { page, retired } of [opening, asking]) {
      await arrive(page, frontEnd);
      await page.goto(`${frontEnd.origin}/profile`);
      await showsUser(page);
      expect(retired).toEqual([]);
    }
  });

  it('adds, renames and deletes a passkey', async () => {
    await using frontEnd = await start('same origin');
    await using visitor = await visitRecorded(browser);
    const { page } = visitor;
    await page.goto(`${frontEnd.origin}/register`);
    await registerPasskey(page, frontEnd);
    await page.goto(`${frontEnd.origin}/profile`);
    await page.getByTestId('passkey-table-row-0').waitFor();
    await visitor.addSecurityKey();
    await page.getByRole('button', { name: 'Add a passkey' }).click();
    await page.getByRole('button', { name: 'Use another device' }).click();
    await page.getByTestId('passkey-table-row-1').waitFor();

    await page.getByTestId('edit-passkey-button-1').click();
    await page.getByTestId('passkey-table-row-1-device-name').fill('Spare key');
    const saved = page.waitForResponse((answer) => answer.request().method() === 'PATCH' && answer.ok());
    await page.keyboard.press('Enter');
    await saved;
    await page.reload();
    await expect.poll(() => nameOf(page, 1)).toBe('Spare key');

    await page.getByTestId('revoke-passkey-button-1').click();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByTestId('passkey-table-row-1').waitFor({ state: 'detached' });
    await page.reload();
    await expect.poll(() => nameOf(page, 0)).not.toBe('Spare key');
    expect(await page.getByTestId('passkey-table-row-1').count()).toBe(0);
    expect(visitor.retired).toEqual([]);
  });

  it.each([
    ['email', 'grace@example.com', 'grace@example.com'],
    ['phone', '2025550123', '+12025550123'],
  ] as const)('changes the %s in the profile, once the link is opened', async (channel, typed, address) => {
    // The profile opens no links: the page that users log in at does.
    const app = { loginUrl: '/auth' };
    await using frontEnd = await start('same origin', { app });
    await using visitor = await visitRecorded(browser);
    const { page } = visitor;
    await page.route('https://cdn.jsdelivr.net/npm/intl-tel-input@*/build/js/utils.js', (route) =>
      route.fulfill({ path: phoneFormats, headers: { 'Access-Control-Allow-Origin': '*' } }),
    );
    await page.goto(`${frontEnd.origin}/register`);
    await registerPasskey(page, frontEnd);
    await page.goto(`${frontEnd.origin}/profile`);
    await showsUser(page);
    const input = page.getByTestId(`profile-${channel}-input`);
    const control = page.locator('form').filter({ has: input });
    await control.getByTestId('edit-button').click();
    await input.fill(typed);
    await control.getByTestId('save-button').click();
    const link = await vi.waitUntil(
      () => frontEnd.site.messages.findLast(({ to }) => to === address)?.url,
      20_000,
    );
    expect(new URL(link).pathname).toBe('/auth');
    const opened = page.waitForResponse((answer) => answer.url().endsWith('/magic-link/activate'));
    await page.goto(link);
    expect((await opened).status()).toBe(200);
    await page.goto(`${frontEnd.origin}/profile`);
    await expect.poll(async () => (await input.inputValue()).replaceAll(/[\s()-]/g, '')).toContain(typed);
    expect(visitor.retired).toEqual([]);
  });
});

async function registerPasskey(page: Page, frontEnd: FrontEnd): Promise<void> {
  await page.getByRole('textbox').fill('ada@example.com');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await arrive(page, frontEnd);
}

/** Waits until the page has gone where logins end. */
const arrive = (page: Page, frontEnd: FrontEnd) => page.waitForURL(`${frontEnd.origin}/`);

/** Waits for a message, since elements tell of it before it is sent. */
const newest = (frontEnd: FrontEnd) => vi.waitUntil(() => frontEnd.site.messages.at(-1), 20_000);

const showsUser = (page: Page) =>
  expect.poll(() => page.getByTestId('profile-email-input').inputValue()).toBe('ada@example.com');

const nameOf = (page: Page, row: number) =>
  page.getByTestId(`passkey-table-row-${row}-device-name`).inputValue();

/** Signs out as pages with elements do, which have no button for it: by passage-js, which keeps tokens in the same place. */
const signOut = (page: Page, frontEnd: FrontEnd) =>
  page.evaluate(
    `import('/client.js').then(({ Passage }) => new Passage('${frontEnd.site.appId}').session.signOut())`,
  );
