import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { launch, visit } from './chromium.ts';
import { type Site, startSite } from './site.ts';

vi.setConfig({ testTimeout: 60_000 });

let browser: Browser;
let site: Site;

beforeAll(async () => {
  browser = await launch();
  site = await startSite();
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await site?.[Symbol.asyncDispose]();
}, 60_000);

it('creates an account with a passkey, and logs in with it', async () => {
  await using visitor = await visit(browser);
  const { page } = visitor;
  await open(page, '?view=register');
  await page.getByLabel('Email or phone').fill('ada@example.com');
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await page.getByRole('button', { name: 'Not now' }).click();
  await arrive(page);
  expect(await visitor.countPasskeys()).toBe(1);

  await page.evaluate(() => localStorage.clear());
  await open(page);
  await page.getByRole('button', { name: 'Log in with a passkey' }).click();
  await arrive(page);
  expect(visitor.complaints).toEqual([]);
});

it('says that nothing was changed when the visitor cancels, and works at the next try', async () => {
  await using visitor = await visit(browser);
  const { page } = visitor;
  await visitor.confirms(false);
  await open(page, '?view=register');
  await page.getByLabel('Email or phone').fill('grace@example.com');
  // The browser reports a visitor who cancels by this error.
  await page.evaluate(() => {
    const create = navigator.credentials.create;
    navigator.credentials.create = async () => {
      navigator.credentials.create = create;
      throw new DOMException('Cancelled', 'NotAllowedError');
    };
  });
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await page.getByRole('alert').getByText('Canceled or timed out. Nothing has changed.').waitFor();
  expect(await visitor.countPasskeys()).toBe(0);
  await visitor.confirms(true);
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await page.getByRole('button', { name: 'Not now' }).click();
  await arrive(page);
});

it.each([
  ['email', 'hedy@example.com'],
  ['phone number', '+15005550006'],
])('offers to confirm the %s after a passkey sign-up, which keeps the passkey', async (label, identifier) => {
  await using visitor = await visit(browser);
  await using elsewhere = await visit(browser);
  const { page } = visitor;
  await open(page, '?view=register');
  await page.getByLabel('Email or phone').fill(identifier);
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await page.getByRole('heading', { name: `Confirm your ${label}` }).waitFor();
  await page.getByText(`Confirm that ${identifier} is yours.`).waitFor();
  await page.getByRole('button', { name: 'Send me a link' }).click();
  await page.getByRole('heading', { name: 'Check your messages' }).waitFor();
  const link = site.messages.findLast(({ to, url }) => to === identifier && url)?.url ?? 'no link was sent';

  await elsewhere.page.goto(link);
  await elsewhere.page.getByRole('button', { name: 'Confirm' }).click();
  await elsewhere.page.waitForURL(`${site.origin}/`);
  // The link may be that of somebody else's account.
  expect(await elsewhere.page.evaluate(() => localStorage.length)).toBe(0);

  await arrive(page);
  expect(await page.evaluate(() => localStorage.getItem('psg_refresh_token'))).toBeTruthy();
  await page.evaluate(() => localStorage.clear());
  await open(page);
  await page.getByLabel('Email or phone').fill(identifier);
  await page.getByRole('button', { name: 'Send me a code' }).click();
  await page.getByRole('textbox', { name: 'Code' }).fill(await codeFor(identifier));
  await page.getByRole('button', { name: 'Continue' }).click();
  await arrive(page);
  await open(page);
  await page.getByRole('button', { name: 'Log in with a passkey' }).click();
  await arrive(page);
  expect([...visitor.complaints, ...elsewhere.complaints].filter((text) => !text.includes('404'))).toEqual(
    [],
  );
});

it('says so when the browser has no WebAuthn, and a code by mail creates the account', async () => {
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.addInitScript(() => Reflect.deleteProperty(window, 'PublicKeyCredential'));
  await open(page, '?view=register');
  await page.getByRole('alert').getByText('This browser cannot use passkeys. You can continue').waitFor();
  expect(await page.getByRole('button', { name: 'Create a passkey' }).isVisible()).toBe(false);
  await page.getByLabel('Email or phone').fill('alan@example.com');
  await page.getByRole('button', { name: 'Send me a code' }).click();
  await page.getByRole('textbox', { name: 'Code' }).fill(await codeFor('alan@example.com'));
  await page.getByRole('button', { name: 'Continue' }).click();
  await arrive(page);
  expect(visitor.complaints).toEqual([]);
});

it('refuses a wrong code, takes the right one, and offers a passkey', async () => {
  await using visitor = await visit(browser);
  const { page } = visitor;
  await open(page, '?view=register');
  await page.getByLabel('Email or phone').fill('edsger@example.com');
  await page.getByRole('button', { name: 'Send me a code' }).click();
  const field = page.getByRole('textbox', { name: 'Code' });
  await field.waitFor();
  const code = await codeFor('edsger@example.com');
  await field.fill(code === '000000' ? '000001' : '000000');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText('This code is wrong').waitFor();
  expect(await field.getAttribute('aria-invalid')).toBe('true');
  await field.fill('12345');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText('Enter the 6 digits of the code.').waitFor();
  // As people copy it, in the digits of their script.
  const digits = code.replace(/\d/g, (digit) => String.fromCodePoint(0x660 + Number(digit)));
  await field.fill(`${digits.slice(0, 3)} ${digits.slice(3)}`);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await arrive(page);
  expect(await visitor.countPasskeys()).toBe(1);
});

it('says that there is no such account, and leads to creating it', async () => {
  await using visitor = await visit(browser);
  const { page } = visitor;
  await open(page);
  await page.getByLabel('Email or phone').fill('nobody@example.com');
  await page.getByRole('button', { name: 'Log in with a passkey' }).click();
  const alert = page.getByRole('alert');
  await alert.getByText('There is no account for nobody@example.com.').waitFor();
  await alert.getByRole('button', { name: 'Create an account' }).click();
  await page.getByRole('heading', { name: 'Create your account' }).waitFor();
  expect(await page.getByLabel('Email or phone').inputValue()).toBe('nobody@example.com');
});

it('confirms a new address without logging anybody in or out', async () => {
  await using visitor = await visit(browser);
  await using other = await visit(browser);
  await open(visitor.page, '?view=register');
  await visitor.page.getByLabel('Email or phone').fill('barbara@example.com');
  await visitor.page.getByRole('button', { name: 'Create a passkey' }).click();
  await visitor.page.getByRole('button', { name: 'Not now' }).click();
  await arrive(visitor.page);
  const stored = (page: Page) => page.evaluate(() => ({ ...localStorage }));
  const before = await stored(visitor.page);
  for (const [{ page }, email, tokens] of [
    [visitor, 'barbara@new.example', before],
    [other, 'barbara@newer.example', {}],
  ] as const) {
    const answer = await fetch(`${site.origin}/passage/auth/v1/apps/${site.appId}/currentuser/email`, {
      method: 'PATCH',
      headers: {
        Authorization: `Bearer ${before.psg_auth_token}`,
        'Content-Type': 'application/json',
      },
      body: JSON.stringify({ new_email: email }),
    });
    expect(answer.status).toBe(200);
    await page.goto(site.messages.findLast(({ to }) => to === email)?.url ?? '');
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.waitForURL(`${site.origin}/`);
    expect(await stored(page)).toEqual(tokens);
  }
});

it('logs in by a magic link, at the press of its button', async () => {
  await using linkSite = await startSite({ app: { authMethods: { otp: { enabled: false } } } });
  await using visitor = await visit(browser);
  const { page } = visitor;
  await page.goto(`${linkSite.origin}/passage/login?view=register`);
  await page.getByLabel('Email or phone').fill('barbara@example.com');
  await page.getByRole('button', { name: 'Send me a link' }).click();
  await page.getByRole('heading', { name: 'Check your messages' }).waitFor();
  await page.goto(linkSite.messages.at(-1)?.url ?? 'no link was sent');
  await page.getByRole('button', { name: 'Log in' }).first().click();
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.waitForURL(`${linkSite.origin}/`);
  expect(await page.evaluate(() => localStorage.getItem('psg_auth_token'))).toBeTruthy();
  expect(visitor.complaints).toEqual([]);
});

it.each(['light', 'dark'] as const)(
  'is used by keyboard alone, with names and a visible focus, in %s colors',
  async (colorScheme) => {
    await using visitor = await visit(browser, { colorScheme });
    const { page } = visitor;
    await open(page, '?view=register');
    const names: (string | null | undefined)[] = [];
    for (let stop = 0; stop < 4; stop++) {
      const focus = await page.evaluate(() => {
        const active = document.activeElement as HTMLElement;
        const { outlineStyle, outlineWidth } = getComputedStyle(active);
        const label = (active as HTMLInputElement).labels?.[0]?.textContent;
        return { name: label || active.textContent, outline: `${outlineWidth} ${outlineStyle}` };
      });
      expect(focus.outline).toBe('3px solid');
      names.push(focus.name?.trim());
      await page.keyboard.press('Tab');
    }
    expect(names).toEqual(['Email or phone', 'Create a passkey', 'Send me a code', 'Log in']);
    expect(await page.getByRole('main').getAttribute('aria-labelledby')).toBe('title');
    const brightness = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(brightness).toBe(colorScheme === 'dark' ? 'rgb(19, 20, 22)' : 'rgb(244, 244, 241)');
    await page.getByLabel('Email or phone').focus();
    await page.keyboard.type(`${colorScheme}@example.com`);
    await page.keyboard.press('Enter');
    // The focus is at the heading, which a screen reader speaks; the buttons come next.
    await page.getByRole('heading', { name: 'Confirm your email' }).waitFor();
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Confirm your email');
    for (const name of ['Send me a link', 'Not now']) {
      await page.keyboard.press('Tab');
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe(name);
    }
    await page.keyboard.press('Enter');
    await arrive(page);
    expect(visitor.complaints).toEqual([]);
  },
);

async function open(page: Page, query = ''): Promise<void> {
  await page.goto(`${site.origin}/passage/login${query}`);
  await page.getByLabel('Email or phone').waitFor();
}

/** Waits until the page has gone where logins end, with the tokens left behind. */
async function arrive(page: Page): Promise<void> {
  await page.waitForURL(`${site.origin}/`);
  const token = await page.evaluate(() => localStorage.getItem('psg_auth_token'));
  expect(token?.split('.')).toHaveLength(3);
}

async function codeFor(email: string): Promise<string> {
  const find = () => site.messages.findLast((message) => message.to === email && message.code);
  await expect.poll(find).toBeDefined();
  return find()?.code ?? '';
}
