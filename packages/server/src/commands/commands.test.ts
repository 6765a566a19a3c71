import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeStored, type TestDatabase } from '../../test/databases.ts';
import { built, freePort, portOf, run } from '../../test/process.ts';
import { secret, TestServer } from '../../test/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-commands-'));
afterAll(() => rmSync(folder, { recursive: true }));

const variables = { PASSAGE_SECRET: secret, PASSAGE_BASE_URL: 'http://localhost:3000' };

function expectCommonHeaders(headers: Headers) {
  expect(headers.get('X-Request-Id')).toMatch(/^[\w.-]+$/);
  expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
  expect(headers.get('Referrer-Policy')).toBe('no-referrer');
  expect(headers.get('Cache-Control')).toBe('no-store');
}

/** Runs a command to its end. */
async function end(args: string[], more: Record<string, string> = {}) {
  const one = run(args, { ...variables, ...more }, folder);
  return { code: await one.ended, output: one.output() };
}

describe.skipIf(!built)('commands (need a build)', () => {
  describeStored('beside a server', (make) => {
    let database: TestDatabase;
    let passage: TestServer;

    beforeEach(async () => {
      passage = await TestServer.start(async () => {
        database = await make();
        return database;
      });
    });
    afterEach(() => passage[Symbol.asyncDispose]());

    const of = (...args: string[]) => end(args, { DATABASE_URL: database.location });
    const json = async (...args: string[]) => {
      const { code, output } = await of(...args, '--json');
      expect({ code, output }).toMatchObject({ code: 0 });
      return JSON.parse(output.split('\n').find((line) => /^({|\[[\]{])/.test(line)) ?? '');
    };

    it('creates, shows, changes, deactivates and deletes a user', async () => {
      await passage.server.apps.update(passage.appId, {
        userMetadataSchema: [{ fieldName: 'plan', type: 'string' }],
      });
      const made = await json(
        'users',
        'create',
        '--email',
        'Ada@example.com',
        '--metadata',
        '{"plan":"pro"}',
      );
      expect(made).toMatchObject({
        email: 'ada@example.com',
        status: 'pending',
        user_metadata: { plan: 'pro' },
      });
      expect((await passage.manage('GET', `/users/${made.id}`)).body.user).toMatchObject({ id: made.id });
      expect((await of('users', 'show', 'ada@example.com')).output).toContain(
        'ada@example.com (not verified)',
      );
      expect(await json('users', 'update', passage.appId, made.id, '--phone', '+15005550006')).toMatchObject({
        phone: '+15005550006',
        email: 'ada@example.com',
      });
      expect(await json('users', 'deactivate', '+15005550006')).toMatchObject({ status: 'inactive' });
      expect(await json('users', 'list', '--status', 'active')).toEqual({ users: [], total: 0 });
      expect(await json('users', 'activate', made.id)).toMatchObject({ status: 'active' });
      expect(await json('users', 'list', '--find', 'ada@')).toMatchObject({
        total: 1,
        users: [{ id: made.id }],
      });
      const refused = await of('users', 'delete', 'ada@example.com');
      expect(refused).toMatchObject({ code: 1, output: expect.stringContaining('--yes') });
      expect((await of('users', 'delete', 'ada@example.com', '--yes')).code).toBe(0);
      expect((await passage.manage('GET', `/users/${made.id}`)).status).toBe(404);
      expect(await of('users', 'show', 'ada@example.com')).toEqual({
        code: 1,
        output: 'passage-server: No user of the app has this ID, email address or phone number\n',
      });
    }, 120_000);

    it('ends sessions, deletes passkeys, and lets in a user without passkeys', async () => {
      const ada = await passage.register('ada@example.com');
      expect((await of('users', 'sessions', 'end', ada.id)).code).toBe(0);
      const refresh = () => passage.auth('POST', '/tokens', { refresh_token: ada.refreshToken });
      expect((await refresh()).status).toBe(401);
      const [device] = await json('devices', 'list', 'ada@example.com');
      expect((await of('devices', 'delete', 'ada@example.com', device.id, '--yes')).code).toBe(0);
      expect((await of('devices', 'list', ada.id)).output).toBe('The user has no passkeys.\n');
      expect((await of('devices', 'delete', ada.id, device.id, '--yes')).output).toContain(
        'Device not found',
      );
      const { url } = await json('users', 'link', 'ada@example.com', '--minutes', '5');
      const magic_link = new URL(url).searchParams.get('psg_magic_link');
      const login = await passage.auth('PATCH', '/magic-link/activate', { magic_link });
      expect(decodeJwt(login.body.auth_result.auth_token).sub).toBe(ada.id);
      expect((await passage.auth('PATCH', '/magic-link/activate', { magic_link })).status).toBe(404);
    }, 120_000);

    it('changes settings by name, checked by their schema', async () => {
      const { appId } = passage;
      const changed = await of(
        'apps',
        'update',
        appId,
        'name=7',
        'authMethods.otp.ttl=120',
        'publicSignup=false',
      );
      expect(changed.code).toBe(0);
      expect(await json('apps', 'show')).toMatchObject({
        name: '7',
        publicSignup: false,
        authMethods: { otp: { ttl: 120, enabled: true } },
      });
      expect(
        await json('apps', 'update', appId, 'additionalAuthOrigins=https://a.example,https://b.example'),
      ).toMatchObject({ additionalAuthOrigins: ['https://a.example', 'https://b.example'] });
      expect((await of('apps', 'update', appId, 'nam=x')).output).toContain('did you mean "name"?');
      expect((await of('apps', 'update', appId, 'authOrigin=http://example.com')).output).toContain(
        '"authOrigin"',
      );
      expect((await of('apps', 'update', appId, 'sessionTimeoutLength=long')).output).toContain(
        'whole number',
      );
      expect((await of('apps', 'update', appId, '__proto__.x=1')).code).toBe(1);
      expect((await of('apps', 'update', 'nope', 'name=x')).output).toContain('No app has this ID');
      const other = await json('apps', 'create', 'name=Other');
      expect((await of('users', 'list')).output).toContain('several apps');
      expect((await of('apps', 'delete', other.appId, '--yes')).code).toBe(0);
      expect(await json('apps', 'list')).toHaveLength(1);
    }, 120_000);

    it('creates an app on another database from the settings of this one', async () => {
      await passage.server.apps.update(passage.appId, {
        name: 'Shop',
        publicSignup: false,
        additionalAuthOrigins: ['https://a.example'],
        authMethods: { otp: { ttl: 120 } },
        userMetadataSchema: [{ fieldName: 'plan', type: 'string', profile: true }],
      });
      const file = join(folder, 'app.json');
      const shown = await json('apps', 'show');
      writeFileSync(file, JSON.stringify(shown));
      const next = join(folder, `${passage.appId}.db`);
      const create = (path: string, ...more: string[]) =>
        end(['apps', 'create', '--file', path, ...more, '--json'], { DATABASE_URL: next });
      const made = await create(file, 'authMethods.otp.ttl=60');
      expect(made.code).toBe(0);
      expect(JSON.parse(made.output)).toMatchObject({ appId: passage.appId, apiKey: expect.any(String) });
      const app = await end(['apps', 'show', '--json'], { DATABASE_URL: next });
      const { otp, ...methods } = shown.authMethods;
      expect(JSON.parse(app.output)).toEqual({
        ...shown,
        createdAt: expect.any(String),
        authMethods: { ...methods, otp: { ...otp, ttl: 60 } },
      });

      writeFileSync(file, '[]');
      expect((await create(file)).output).toContain('must be a JSON object');
      writeFileSync(file, '{"nam":"x"}');
      expect((await create(file)).output).toContain('did you mean');
      expect(await create(join(folder, 'missing.json'))).toMatchObject({ code: 1 });
    }, 120_000);

    it('lists and revokes API keys and signing keys', async () => {
      const { appId } = passage;
      const made = await json('api-keys', 'create', appId, '--name', 'CI');
      const use = () => passage.manage('GET', '/users', undefined, { token: made.apiKey });
      expect((await use()).status).toBe(200);
      const [used] = (await json('api-keys', 'list')).filter(({ id }: { id: string }) => id === made.id);
      expect(used).toMatchObject({ name: 'CI', lastUsedAt: expect.any(String) });
      expect((await of('api-keys', 'revoke', appId, made.id, '--yes')).code).toBe(0);
      // The server may accept the key for one more second.
      await expect.poll(async () => (await use()).status, { timeout: 5_000 }).toBe(401);

      const [first] = await json('keys', 'list');
      expect((await of('keys', 'revoke', appId, first.id, '--yes')).output).toContain('rotate it first');
      await json('keys', 'rotate', appId);
      const [, second] = await json('keys', 'list');
      expect((await of('keys', 'revoke', appId, second.id, '--yes')).code).toBe(0);
      const [left, ...none] = await json('keys', 'list');
      // It would have retired because of the second key. Without that, it goes on signing.
      expect(left).toMatchObject({ id: first.id });
      expect(left.retiresAt).toBeUndefined();
      expect(none).toEqual([]);
    }, 120_000);

    it('makes tokens for trying a route, on this machine alone', async () => {
      const { token, userId } = await json('token', 'ada@example.com');
      expect(decodeJwt(token)).toMatchObject({
        sub: userId,
        iss: expect.stringContaining('http://localhost:3000'),
      });
      const args = ['token', 'ada@example.com'];
      const elsewhere = await end(args, {
        DATABASE_URL: database.location,
        PASSAGE_BASE_URL: 'https://login.example.com',
      });
      expect(elsewhere).toMatchObject({ code: 1, output: expect.stringContaining('PASSAGE_BASE_URL') });
    }, 60_000);
  });

  it('serves metrics on a port of their own, or not at all', async () => {
    const start = async (value: string) => {
      const server = run(
        [],
        { ...variables, PORT: '0', PASSAGE_METRICS_PORT: value, DATABASE_URL: 'm.db' },
        folder,
      );
      const url = `http://localhost:${await portOf(server)}`;
      const own = /Metrics on port (\d+)/.exec(server.output())?.[1];
      expect((await fetch(`${url}/metrics`)).status).toBe(404);
      return { server, own, url };
    };
    const { server, own, url } = await start('0');
    const metrics = await fetch(`http://localhost:${own}/metrics`);
    expect(await metrics.text()).toContain('passage_http_request_duration_seconds');
    expectCommonHeaders(metrics.headers);
    const nothing = await fetch(`http://localhost:${own}/livez`);
    expect(nothing.status).toBe(404);
    expectCommonHeaders(nothing.headers);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    const taken = await end([], { PORT: '0', PASSAGE_METRICS_PORT: String(own), DATABASE_URL: 'other.db' });
    expect(taken).toMatchObject({
      code: 1,
      output: expect.stringContaining('set PASSAGE_METRICS_PORT to another'),
    });
    server.child.kill();
    await server.ended;
    const off = await start('off');
    expect(off.own).toBeUndefined();
    off.server.child.kill();
    await off.server.ended;
    expect((await end([], { PASSAGE_METRICS_PORT: 'x' })).output).toContain('PASSAGE_METRICS_PORT must be');
  }, 60_000);

  it('answers 503 while it starts', async () => {
    const silent = createNetServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const port = await freePort();
    const server = run(
      [],
      {
        ...variables,
        PORT: `${port}`,
        DATABASE_URL: `postgres://127.0.0.1:${(silent.address() as AddressInfo).port}/x`,
        PASSAGE_TRUSTED_PROXIES: '127.0.0.0/8, ::1',
      },
      folder,
    );
    await once(silent, 'connection');
    const answer = await fetch(`http://localhost:${port}/readyz`, { headers: { 'X-Request-Id': 'trace-1' } });
    expect(answer.status).toBe(503);
    expect(answer.headers.get('Retry-After')).toBe('1');
    expect(await answer.json()).toEqual({ code: 'service_unavailable', error: 'The server is starting' });
    expectCommonHeaders(answer.headers);
    expect(answer.headers.get('X-Request-Id')).toBe('trace-1');
    server.child.kill('SIGKILL');
    await server.ended;
    silent.close();
  }, 60_000);

  it('sends a test message by the configured delivery, and says what to do where that fails', async () => {
    const bodies: string[] = [];
    let status = 204;
    const hook = createServer(async (request, response) => {
      for await (const chunk of request) bodies.push(String(chunk));
      response.writeHead(status).end();
    });
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
    const delivery = {
      PASSAGE_WEBHOOK_URL: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`,
      PASSAGE_WEBHOOK_SECRET: secret,
    };
    expect((await end(['mail', 'test', 'ada@example.com'], delivery)).code).toBe(0);
    expect(JSON.parse(bodies.join(''))).toMatchObject({
      type: 'message.test',
      data: { to: 'ada@example.com' },
    });
    status = 403;
    expect(await end(['mail', 'test', '+15005550006'], delivery)).toMatchObject({
      code: 1,
      output: expect.stringContaining('(status 403): check'),
    });
    hook.close();
    expect((await end(['mail', 'test', 'nobody'], delivery)).output).toContain('<address> must be');
    expect((await end(['mail', 'test', 'ada@example.com'])).output).toContain('set PASSAGE_SMTP_URL');
  }, 60_000);

  it.each([
    [['users', 'show'], 'the argument <user> is missing'],
    [['users', 'show', ''], 'the argument <user> is missing'],
    [['users', 'show', 'app', 'user', 'x'], 'unexpected argument "x"'],
    [['users', 'sessions'], '"users" needs one of these commands'],
    [['devices', 'delete', 'ada'], 'the argument <device id> is missing'],
    [['users', 'link', 'ada', '--snd'], 'did you mean "send"?'],
  ])('refuses the arguments %j with the usage', async (args, message) => {
    const { code, output } = await end(args);
    expect({ code, output }).toEqual({ code: 2, output: expect.stringContaining(message) });
  });
});
