import type { PassageServerOptions } from '@passage-auth/server';
import type { AuthenticatorAttachment, Passage } from '@passageidentity/passage-js';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bundle,
  type FrontEnd,
  launchAlone,
  type Placement,
  startFrontEnd,
  visitRecorded,
} from './frontends.ts';

// What the page below makes global.
declare const passage: Passage;

let browser: Browser;
let scripts: Map<string, string>;

beforeAll(async () => {
  [browser, scripts] = await Promise.all([launchAlone(), bundle({ client: 'passage-js/dist/index.js' })]);
});
afterAll(() => browser?.close());

const body = (appId: string) => `<input autocomplete="username webauthn">
  <script type="module">
    import { Passage } from '/client.js';
    window.passage = new Passage('${appId}');
  </script>`;

const start = (placement: Placement, options: Partial<PassageServerOptions> = {}) =>
  startFrontEnd(placement, scripts, body, options);

async function open(page: Page, frontEnd: FrontEnd, path = '/'): Promise<void> {
  await page.goto(frontEnd.origin + path);
  await page.waitForFunction('window.passage');
}

const register = (page: Page, email = 'ada@example.com') =>
  page.evaluate((identifier) => passage.passkey.register(identifier), email);

const newest = (frontEnd: FrontEnd) => frontEnd.site.messages.at(-1);

/** Status that the client tells of a call: that of the refusal, or 200. */
const statusOf = (page: Page, call: string) =>
  page.evaluate<number>(`${call}.then(() => 200, (error) => error.statusCode)`);

describe.each<Placement>(['same origin', 'cross origin'])('passage-js from the %s', (placement) => {
  it('registers a passkey and logs in with an address, without one, and by autofill', async () => {
    await using frontEnd = await start(placement);
    await using visitor = await visitRecorded(browser);
    const { page } = visitor;
    await open(page, frontEnd);

    const registered = await register(page);
    expect(registered.redirectUrl).toBeTruthy();
    const user = await page.evaluate(() => passage.currentUser.userInfo());
    expect(user).toMatchObject({ email: 'ada@example.com', status: 'active', webauthnTypes: ['passkey'] });

    await page.evaluate(() => passage.passkey.login('ada@example.com'));
    await page.evaluate(() => passage.passkey.login());
    await page.evaluate(() => passage.passkey.login(undefined, { isConditionalMediation: true }));
    expect((await page.evaluate(() => passage.currentUser.userInfo())).loginCount).toBe(4);
    // The guard asks for a token whose header says RS256 and JWT, and for the server's word.
    expect(await page.evaluate(() => passage.session.authGuard())).toBe(true);
    expect(visitor.retired).toEqual([]);
    expect(visitor.complaints).toEqual([]);
  });

  it('takes a one-time code, and refuses a wrong one', async () => {
    await using frontEnd = await start(placement);
    await using visitor = await visitRecorded(browser);
    const { page } = visitor;
    await open(page, frontEnd);
    const { otpId } = await page.evaluate(() => passage.oneTimePasscode.register('ada@example.com'));
    const code = newest(frontEnd)?.code ?? '';
    const wrong = code === '000000' ? '111111' : '000000';
    expect(await statusOf(page, `passage.oneTimePasscode.activate('${wrong}', '${otpId}')`)).toBe(400);
    expect(await statusOf(page, `passage.oneTimePasscode.activate('${code}', '${otpId}')`)).toBe(200);
    expect((await page.evaluate(() => passage.currentUser.userInfo())).email).toBe('ada@example.com');
    expect(visitor.retired).toEqual([]);
  });
});

describe('passage-js', () => {
  it('adds, renames and deletes a passkey, and changes metadata', async () => {
    const app = { userMetadataSchema: [{ fieldName: 'town', type: 'string' as const, profile: true }] };
    await using frontEnd = await start('same origin', { app });
    await using visitor = await visitRecorded(browser);
    const { page } = visitor;
    await open(page, frontEnd);
    await register(page);
    // The server names the passkeys there are, so an authenticator that has one refuses to make another.
    await expect(page.evaluate(() => passage.currentUser.addPasskey())).rejects.toThrow();
    await visitor.addSecurityKey();
    const added = await page.evaluate(
      (authenticatorAttachment) => passage.currentUser.addPasskey({ authenticatorAttachment }),
      'cross-platform' as AuthenticatorAttachment,
    );
    const renamed = await page.evaluate((id) => passage.currentUser.editPasskey(id, 'Spare key'), added.id);
    expect(renamed).toMatchObject({ id: added.id, friendlyName: 'Spare key' });
    const listed = await page.evaluate(() => passage.currentUser.passkeys());
    expect(listed.map(({ friendlyName }) => friendlyName)).toContain('Spare key');
    expect(listed).toHaveLength(2);

    await page.evaluate((passkey) => passage.currentUser.deletePasskey(passkey), renamed);
    const left = await page.evaluate(() => passage.currentUser.passkeys());
    expect(left.map(({ id }) => id)).toEqual(listed.map(({ id }) => id).filter((id) => id !== added.id));

    await page.evaluate(() => passage.currentUser.updateMetadata({ town: 'London' }));
    expect(await page.evaluate(() => passage.currentUser.metadata())).toEqual({ town: 'London' });
    expect(visitor.retired).toEqual([]);
  });

  it('logs in the page that asks for a link, once the link is opened on another device', async () => {
    await using frontEnd = await start('same origin', { app: { allowedLinkPaths: ['/account'] } });
    await using asking = await visitRecorded(browser);
    await using opening = await visitRecorded(browser);
    await open(asking.page, frontEnd, '/account?from=mail');
    const { id } = await asking.page.evaluate(() => passage.magicLink.register('ada@example.com'));
    const status = `passage.magicLink.status('${id}')`;
    expect(await statusOf(asking.page, status)).toBe(404);

    const link = new URL(newest(frontEnd)?.url ?? '');
    expect(link.origin + link.pathname).toBe(`${frontEnd.origin}/account`);
    await open(opening.page, frontEnd, link.pathname + link.search);
    const activate = `passage.magicLink.activate('${link.searchParams.get('psg_magic_link')}')`;
    expect(await statusOf(opening.page, activate)).toBe(200);
    expect(await statusOf(opening.page, activate)).toBe(404);

    expect(await statusOf(asking.page, status)).toBe(200);
    expect(await statusOf(asking.page, status)).toBe(404);
    for (const { page, retired } of [asking, opening]) {
      expect((await page.evaluate(() => passage.currentUser.userInfo())).email).toBe('ada@example.com');
      expect(retired).toEqual([]);
    }
  });

  it('refreshes an expired session, and ends it at the server when the user signs out', async () => {
    // The server lives 20 minutes ago until the token is issued, so that the browser gets one that has expired.
    let behind = 20 * 60_000;
    await using frontEnd = await start('same origin', { clock: () => Date.now() - behind });
    await using visitor = await visitRecorded(browser);
    const { page } = visitor;
    await open(page, frontEnd);
    const first = await register(page);
    behind = 0;

    const token = await page.evaluate(() => passage.session.getAuthToken());
    expect(token).not.toBe(first.authToken);
    expect((await page.evaluate(() => passage.currentUser.userInfo())).email).toBe('ada@example.com');

    const refreshToken = await page.evaluate(() => localStorage.getItem('psg_refresh_token'));
    expect(refreshToken).not.toBe(first.refreshToken);
    await page.evaluate(() => passage.session.signOut());
    expect(await page.evaluate(() => passage.session.authGuard())).toBe(false);
    const answer = await fetch(`${frontEnd.site.origin}/passage/auth/v1/apps/${frontEnd.site.appId}/tokens`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ refresh_token: refreshToken }),
    });
    expect(answer.status).toBe(401);
    expect(visitor.retired).toEqual([]);
  });
});
