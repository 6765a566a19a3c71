import type { AddressInfo } from 'node:net';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { origin, TestServer } from '../../test/server.ts';

const digest = 'pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck';
const android = `android:apk-key-hash:${digest}`;
const hash = Buffer.from(digest, 'base64url');
const hex = hash.toString('hex').toUpperCase();

const make = async () => ({ location: ':memory:', drop: async () => {} });

describe('origins of an app', () => {
  it.each([
    'https://app.example.org',
    'https://app.example.org:8443',
    'http://localhost:5173',
    'http://127.0.0.1:3000',
    'http://tauri.localhost',
    android,
    'capacitor://localhost',
    'ionic://localhost',
    'tauri://localhost',
    'app://-',
    'app://com.example.notes',
    'capacitor://localhost:8100',
    'chrome-extension://mdnleldcmiljblolnjhpnblkcekpdkpa',
  ])('take %s: its page may ask for a code and read the answer', async (shell) => {
    await using server = await TestServer.start(make, { app: { additionalAuthOrigins: [shell] } });
    const from = { headers: { Origin: shell } };
    const preflight = await server.auth('OPTIONS', '/login/otp', undefined, from);
    expect(preflight.headers.get('Access-Control-Allow-Origin')).toBe(shell);
    const sent = await server.auth('POST', '/register/otp', { identifier: 'ada@example.com' }, from);
    expect(sent.status).toBe(201);
    expect(sent.headers.get('Access-Control-Allow-Origin')).toBe(shell);
    const body = { otp_id: sent.body.otp_id, otp: server.messages.at(-1)?.code };
    expect((await server.auth('POST', '/otp/activate', body, from)).status).toBe(200);
    const other = { headers: { Origin: `${shell}.evil.example` } };
    const refused = await server.auth('POST', '/login/otp', { identifier: 'ada@example.com' }, other);
    expect(refused.status).toBe(403);
    expect(refused.headers.get('Access-Control-Allow-Origin')).toBe(null);
  });

  it('let a shell log in by a link that is opened in a browser', async () => {
    const shell = 'capacitor://localhost';
    await using server = await TestServer.start(make, { app: { additionalAuthOrigins: [shell] } });
    const from = { headers: { Origin: shell } };
    const invite = (redirect_url: string) =>
      server.manage('POST', '/magic-links', { email: 'ada@example.com', send: false, redirect_url });
    for (const elsewhere of [
      'capacitor://evil',
      'capacitor://user@localhost/home',
      'ionic://localhost/home',
      'capacitor:/home',
    ])
      expect((await invite(elsewhere)).status, elsewhere).toBe(400);
    expect((await invite('capacitor://localhost/home')).status).toBe(201);
    const asked = await server.auth('POST', '/register/magic-link', { identifier: 'bob@example.com' }, from);
    expect(asked.status).toBe(201);
    const link = new URL(server.messages.at(-1)?.url ?? '');
    expect(link.origin).toBe(origin);
    const secret = link.searchParams.get('psg_magic_link');
    expect((await server.auth('PATCH', '/magic-link/activate', { magic_link: secret })).status).toBe(200);
    const status = await server.auth('POST', '/magic-link/status', { id: asked.body.magic_link.id }, from);
    expect(status.status).toBe(200);
    expect(status.headers.get('Access-Control-Allow-Origin')).toBe(shell);
    expect(status.body.auth_result.auth_token).toBeTypeOf('string');
  });

  it.each([
    ['https://*.example.com', 'must name each origin in full, for example https://app.example.com'],
    ['*', 'must name each origin in full'],
    ['https://app.example.org/', 'in its exact form: https://app.example.org'],
    ['https://app.example.org/login', 'in its exact form: https://app.example.org'],
    ['https://app.example.org:443', 'in its exact form: https://app.example.org'],
    ['https://App.example.org', 'in its exact form: https://app.example.org'],
    [' https://app.example.org', 'in its exact form: https://app.example.org'],
    ['https://ada@app.example.org', 'in its exact form: https://app.example.org'],
    ['capacitor://localhost/', 'in its exact form: capacitor://localhost'],
    ['Capacitor://LOCALHOST', 'in its exact form: capacitor://localhost'],
    ['http://app.example.org', 'must be an https origin, or http on this machine, without a path'],
    ['app.example.org', 'must be an origin such as https://app.example.com'],
    ['localhost:3000', 'must be an origin such as https://app.example.com'],
    ['capacitor://', 'must be an origin such as'],
    ['capacitor:localhost', 'must be an origin such as'],
    ['null', 'must be an origin such as'],
    ['', 'must be an origin such as'],
    ['wss://app.example.org', 'must be an origin such as'],
    ['javascript://localhost', 'must be an origin such as'],
    ['file:///android_asset', 'must not be file:'],
    ['file://', 'must not be file:'],
    [`${android}=`, `base64url without padding: ${android}`],
    [`android:apk-key-hash:${hash.toString('base64')}`, `base64url without padding: ${android}`],
    [`android:apk-key-hash:${hex}`, `base64url without padding: ${android}`],
    [`android:apk-key-hash:${hex.replace(/..(?=.)/g, '$&:')}`, `base64url without padding: ${android}`],
    // The last character has two bits too many.
    [`${android.slice(0, -1)}l`, `base64url without padding: ${android}`],
    [android.slice(0, -1), 'SHA-256 hash of the app'],
    [`${android}A`, 'SHA-256 hash of the app'],
    ['android:apk-key-hash:', 'SHA-256 hash of the app'],
    [`android:apk-key-hash-sha256:${digest}`, 'SHA-256 hash of the app'],
  ])('refuse %j, and say how to write it', async (wrong, text) => {
    await using server = await TestServer.start(make);
    const update = (additional: string) =>
      server.server.apps.update(server.appId, {
        additionalAuthOrigins: ['https://app.example.com', additional],
      });
    const refused = await update(wrong).catch((error: Error) => error.message);
    expect(refused).toContain(text);
    expect(refused).toContain('additionalAuthOrigins');
    expect((await update(android)).additionalAuthOrigins).toContain(android);
  });

  it.each([
    'capacitor://localhost',
    android,
    'https://*.example.com',
    'https://example.com/login',
    'http://example.com',
  ])('refuse %s as the origin that passkeys belong to', async (wrong) => {
    await using server = await TestServer.start(make);
    await expect(server.server.apps.update(server.appId, { authOrigin: wrong })).rejects.toThrow(
      'authOrigin',
    );
    const { authOrigin } = await server.server.apps.update(server.appId, {
      authOrigin: 'https://example.com',
    });
    expect(authOrigin).toBe('https://example.com');
  });
});

describeDatabases('an authOrigin whose host is an address', (make) => {
  const warnings = (server: TestServer) => server.log.filter((line) => line.includes('Passkeys do not work'));

  it.each([
    ['https://192.168.1.20', 1],
    ['https://[2001:db8::1]:8443', 1],
    ['http://127.0.0.1:3000', 1],
    ['http://localhost:3000', 0],
    ['https://192.168.1.20.example.com', 0],
  ])('%s: is warned of at start %i times', async (authOrigin, times) => {
    await using server = await TestServer.start(make, { app: { authOrigin } });
    expect(warnings(server)).toHaveLength(times);
    expect((await server.auth('POST', '/register/otp', { identifier: 'ada@example.com' })).status).toBe(201);
  });

  it('is warned of when an app is made or changed', async () => {
    await using server = await TestServer.start(make);
    await server.server.apps.create({ authOrigin: 'https://10.0.0.1' });
    expect(warnings(server)).toHaveLength(1);
    await server.server.apps.update(server.appId, { authOrigin: 'https://10.0.0.2' });
    expect(warnings(server)).toHaveLength(2);
    await server.server.apps.update(server.appId, { authOrigin: 'https://ten.example.com' });
    expect(warnings(server)).toHaveLength(2);
  });
});

describeDatabases('related origins, WebAuthn §5.11', (make) => {
  const path = '/.well-known/webauthn';
  async function read(server: TestServer, url: string, headers: Record<string, string> = {}) {
    const response = await server.server.fetch(new Request(url, { headers }));
    const body = response.status === 200 ? await response.json() : undefined;
    return { status: response.status, headers: response.headers, origins: body?.origins };
  }

  it('are the pages of the app, without its native apps and shells', async () => {
    const additionalAuthOrigins = ['https://shop.example.org', android, 'capacitor://localhost'];
    await using server = await TestServer.start(make, { app: { additionalAuthOrigins } });
    // At the root, and below the path that the server is mounted at.
    for (const url of [`https://login.example.com${path}`, `https://login.example.com/passage${path}`]) {
      const answer = await read(server, url);
      expect(answer).toMatchObject({ status: 200, origins: [origin, 'https://shop.example.org'] });
      expect(answer.headers.get('Content-Type')).toMatch(/^application\/json/);
      expect(answer.headers.get('Cache-Control')).toBe('public, max-age=300');
    }
    await server.server.apps.update(server.appId, { additionalAuthOrigins: [] });
    expect((await read(server, `https://login.example.com${path}`)).origins).toEqual([origin]);
    expect((await read(server, `https://login.example.com${path}/more`)).status).toBe(404);
  });

  it('are those of the apps whose RP ID the host is, or of the app that is named', async () => {
    await using server = await TestServer.start(make, {
      app: { additionalAuthOrigins: ['https://a.example.org'] },
    });
    const same = {
      authOrigin: 'https://www.example.com:8443',
      additionalAuthOrigins: ['https://b.example.org', origin],
    };
    server.advance(1);
    await server.server.apps.create(same);
    server.advance(1);
    const other = await server.server.apps.create({
      authOrigin: 'https://wwwxexample.com',
      additionalAuthOrigins: ['https://www.example.com.evil.test'],
    });
    const of = async (host: string, query = '') =>
      (await read(server, `https://login.example.com${path}${query}`, { host })).origins;
    expect(await of('www.example.com')).toEqual([
      origin,
      'https://a.example.org',
      same.authOrigin,
      'https://b.example.org',
    ]);
    expect(await of('www.example.com:8443')).toEqual(await of('WWW.example.com'));
    expect(await of('wwwxexample.com')).toEqual([
      'https://wwwxexample.com',
      'https://www.example.com.evil.test',
    ]);
    expect(await of('www.example.com', `?app=${other.appId}`)).toEqual(await of('wwwxexample.com'));
    for (const unknown of ['login.example.com', 'example.com', '%', 'www_example.com', 'a b'])
      expect(
        (await read(server, `https://login.example.com${path}`, { host: unknown })).status,
        unknown,
      ).toBe(404);
    expect((await read(server, `https://login.example.com${path}?app=unknown`)).status).toBe(404);
  });

  it('let a passkey of the RP ID be made and used on a page of another domain', async () => {
    const shop = 'https://shop.example.org';
    await using server = await TestServer.start(make, { app: { additionalAuthOrigins: [shop] } });
    const start = async (identifier: string) =>
      (await server.auth('POST', '/register/webauthn/start', { identifier }, { headers: { Origin: shop } }))
        .body;
    const finish = async (page: string, identifier: string) => {
      const { handshake, user } = await start(identifier);
      const { publicKey } = handshake.challenge;
      const handshake_response = await server
        .authenticator()
        .create(publicKey, { clientData: { origin: page } });
      const body = { user_id: user.id, handshake_id: handshake.id, handshake_response };
      return (await server.auth('POST', '/register/webauthn/finish', body)).status;
    };
    expect(await finish('https://evil.example.org', 'ada@example.com')).toBe(400);
    expect(await finish(shop, 'ada@example.com')).toBe(201);
  });

  it('are served by a mounted handler, by the host of the request', async () => {
    await using server = await TestServer.start(make, { app: { authOrigin: 'https://other.example.com' } });
    await server.server.apps.create({ authOrigin: 'http://localhost:3000' });
    const app = express();
    app.use('/passage', server.server.handler);
    app.get(path, server.server.handler);
    const listener = app.listen(0, 'localhost');
    await new Promise((resolve) => listener.once('listening', resolve));
    const { port } = listener.address() as AddressInfo;
    const response = await fetch(`http://localhost:${port}${path}`);
    expect(await response.json()).toEqual({ origins: ['http://localhost:3000'] });
    await new Promise((resolve) => listener.close(resolve));
  });
});
