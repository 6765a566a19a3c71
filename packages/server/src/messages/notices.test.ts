import { afterEach, describe, expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';
import { type Language, languages, type NoticeKind } from '../delivery/delivery.ts';
import { type NoticeContent, renderNotice } from './render.ts';

const ada = 'ada@example.com';
const chrome =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Safari/537.36';

const kinds: readonly NoticeKind[] = [
  'address_changed',
  'passkey_added',
  'passkey_deleted',
  'sessions_ended',
  'refresh_reused',
  'unproven_removed',
];

function content(kind: NoticeKind, language: Language, change: Partial<NoticeContent> = {}): NoticeContent {
  const at = new Date('2026-03-04T05:06:07Z');
  const notice = {
    at,
    browser: 'Chrome on Linux',
    address: '***4567',
    removed: ['passkeys', 'sessions'] as const,
  };
  return { kind, language, channel: 'email', appName: 'Acme', notice, ...change };
}

describe('renderNotice', () => {
  const every = languages.flatMap((language) => kinds.map((kind) => ({ language, kind })));

  it.each(every)('writes $kind in $language with app, time and browser, without a link', (choice) => {
    const { subject, text, html = '' } = renderNotice(content(choice.kind, choice.language));
    expect(subject).toContain('Acme');
    for (const body of [text, html]) {
      expect(body).toContain('2026');
      expect(body).toMatch(/0?5:06.* UTC · Chrome on Linux/);
      expect(body).not.toMatch(/https?:|<a |href|[{}]|undefined/);
    }
    expect(html).toContain(`<html lang="${choice.language}">`);
    expect(text.includes('***4567')).toBe(choice.kind === 'address_changed');
  });

  it.each(every)('writes a short text message for $kind in $language', ({ kind, language }) => {
    const { text, html } = renderNotice(content(kind, language, { channel: 'phone' }));
    expect(text).toContain('Acme');
    expect(text.length).toBeLessThanOrEqual(70);
    expect(text).not.toMatch(/[{}]|undefined/);
    expect(html).toBeUndefined();
  });

  it('says the same thing in no two languages, and of no two kinds', () => {
    const texts = every.map(({ kind, language }) => renderNotice(content(kind, language)).text);
    expect(new Set(texts).size).toBe(languages.length * kinds.length);
  });

  it('lists what was removed', () => {
    expect(renderNotice(content('unproven_removed', 'en')).text).toContain('passkeys and sessions');
    expect(renderNotice(content('unproven_removed', 'de')).text).toContain('Passkeys und Sitzungen');
  });
});

describeDatabases('Notices', (make) => {
  const servers: TestServer[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
  });
  const start = async (options = {}) => {
    const server = await TestServer.start(make, options);
    servers.push(server);
    return server;
  };
  const noticesOf = ({ messages }: TestServer) =>
    messages.filter(({ notice }) => notice).map(({ kind, to }) => ({ kind, to }));

  it('tells of a passkey that was added, and of one that was deleted', async () => {
    const server = await start();
    const { token, id } = await server.signIn(ada);
    const call = { token, ip: '192.0.2.1', headers: { 'User-Agent': chrome } };
    const device = async () => {
      const begun = await server.auth('POST', '/currentuser/devices/start', {}, call);
      const created = await server.authenticator().create(begun.body.handshake.challenge.publicKey);
      const answer = { user_id: id, handshake_id: begun.body.handshake.id, handshake_response: created };
      const { status, body } = await server.auth('POST', '/currentuser/devices/finish', answer, call);
      expect(status).toBe(201);
      return body.device.id as string;
    };
    const [first, second] = [await device(), await device()];
    expect((await server.auth('DELETE', `/currentuser/devices/${first}`, undefined, call)).status).toBe(200);
    expect((await server.manage('DELETE', `/users/${id}/devices/${second}`)).status).toBe(200);
    expect(noticesOf(server)).toEqual([
      { kind: 'passkey_added', to: ada },
      { kind: 'passkey_added', to: ada },
      { kind: 'passkey_deleted', to: ada },
      { kind: 'passkey_deleted', to: ada },
    ]);
    const [added, , , revoked] = server.messages;
    expect(added?.notice).toEqual({ at: new Date(server.now), browser: 'Chrome on Linux' });
    expect(revoked?.notice).toEqual({ at: new Date(server.now) });
  });

  it('tells nobody of a passkey that a sign-up makes, nor of one that was not deleted', async () => {
    const server = await start();
    const { token } = await server.register(ada);
    expect((await server.auth('DELETE', '/currentuser/devices/none', undefined, { token })).status).toBe(404);
    expect(noticesOf(server)).toEqual([]);
  });

  it('tells the old address of a new one, whoever changed it', async () => {
    const server = await start();
    const { token, id } = await server.signIn(ada);
    await server.auth('PATCH', '/currentuser/email', { new_email: 'eve@example.org' }, { token });
    const secret = new URL(server.messages.at(-1)?.url ?? '').searchParams.get('psg_verify_link');
    expect(noticesOf(server)).toEqual([]);
    expect((await server.auth('PATCH', '/magic-link/activate', { magic_link: secret })).status).toBe(200);
    expect(noticesOf(server)).toEqual([{ kind: 'address_changed', to: ada }]);
    expect(server.messages.at(-1)?.text).toContain('e***@e***.org');
    await server.manage('PATCH', `/users/${id}`, { email: 'mallory@example.net', user_metadata: null });
    expect(noticesOf(server).at(-1)).toEqual({ kind: 'address_changed', to: 'eve@example.org' });
    await server.manage('PATCH', `/users/${id}`, { email: 'mallory@example.net' });
    expect(noticesOf(server)).toHaveLength(2);
  });

  it('tells by mail of a first phone number, and by text message of the next', async () => {
    const server = await start();
    const { id } = await server.signIn(ada);
    await server.manage('PATCH', `/users/${id}`, { phone: '+15005550006' });
    await server.manage('PATCH', `/users/${id}`, { phone: '+15005550007' });
    expect(noticesOf(server)).toEqual([
      { kind: 'address_changed', to: ada },
      { kind: 'address_changed', to: '+15005550006' },
    ]);
    expect(server.messages[0]?.text).toContain('***0006');
  });

  it('tells of the end of all sessions, in the language of the app', async () => {
    const server = await start({ app: { defaultLanguage: 'de' } });
    const { id } = await server.signIn(ada);
    expect((await server.manage('DELETE', `/users/${id}/tokens`)).status).toBe(200);
    expect(noticesOf(server)).toEqual([{ kind: 'sessions_ended', to: ada }]);
    expect(server.messages[0]).toMatchObject({
      language: 'de',
      subject: expect.stringContaining('abgemeldet'),
    });
  });

  it('sends ten notices a day to a user, apart from codes and links', async () => {
    const server = await start({ rateLimits: {} });
    const { id } = await server.signIn(ada);
    const { id: other } = await server.signIn('bob@example.com');
    for (let count = 0; count < 12; count++)
      expect((await server.manage('DELETE', `/users/${id}/tokens`)).status).toBe(200);
    expect(noticesOf(server)).toHaveLength(10);
    expect(server.log.filter((line) => line.startsWith('Notice was not sent'))).toHaveLength(2);
    expect((await server.auth('POST', '/login/otp', { identifier: ada })).status).toBe(201);
    await server.manage('DELETE', `/users/${other}/tokens`);
    expect(noticesOf(server)).toHaveLength(11);
    server.advance(86_401);
    await server.manage('DELETE', `/users/${id}/tokens`);
    expect(noticesOf(server)).toHaveLength(12);
  });

  it('lets no stranger send notices to addresses that nobody has proven', async () => {
    const server = await start({ rateLimits: { notices: { count: 2, window: 60 } } });
    const ip = '192.0.2.1';
    for (const name of ['a', 'b', 'c']) {
      const { token, authenticator } = await server.register(`${name}@example.com`);
      const { body } = await server.auth('GET', '/currentuser/devices', undefined, { token });
      expect(authenticator).toBeDefined();
      const path = `/currentuser/devices/${body.devices[0].id}`;
      expect((await server.auth('DELETE', path, undefined, { token, ip })).status).toBe(200);
    }
    expect(noticesOf(server).map(({ to }) => to)).toEqual(['a@example.com', 'b@example.com']);
  });

  it('are delivered by a server that closes right after the change, and log no error', async () => {
    const sent: string[] = [];
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const send = async ({ kind }: { kind: string }) => {
      await released;
      sent.push(kind);
    };
    const server = await start({ delivery: { send } });
    const { id } = await server.signIn(ada);
    expect((await server.manage('DELETE', `/users/${id}/tokens`)).status).toBe(200);
    // Of this one, nobody has waited for the answer.
    const answer = server.manage('PATCH', `/users/${id}`, { email: 'new@example.com' });
    const closed = server.server.close();
    expect(await Promise.race([closed.then(() => 'closed'), answer.then(() => 'answered')])).toBe('answered');
    expect(sent).toEqual([]);
    release();
    await closed;
    expect((await answer).status).toBe(200);
    expect(sent).toEqual(['sessions_ended', 'address_changed']);
    expect(server.log.filter((line) => !line.startsWith('Event'))).toEqual([]);
  });

  it('keep a server open for no longer than 8 seconds', async () => {
    const server = await start({ delivery: { send: () => new Promise<void>(() => {}) } });
    const { id } = await server.signIn(ada);
    expect((await server.manage('DELETE', `/users/${id}/tokens`)).status).toBe(200);
    const started = performance.now();
    await server.server.close();
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('succeeds although a notice cannot be delivered, and logs that without the address', async () => {
    const delivery = { send: () => Promise.reject(new Error('The mail server is away')) };
    const server = await start({ delivery });
    const { id } = await server.signIn(ada);
    expect((await server.manage('DELETE', `/users/${id}/tokens`)).status).toBe(200);
    await expect.poll(() => server.log.join()).toContain('The mail server is away');
    expect(server.log.join()).not.toContain(ada);
  });
});
