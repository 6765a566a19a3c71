import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import { afterAll, describe, expect, it } from 'vitest';
import { describeDatabases, execute, makeBehindProxy, makeSchema, postgres } from '../../test/databases.ts';
import { baseUrl, secret, signingKey, TestServer } from '../../test/server.ts';
import { createPassageServer, outbox } from '../index.ts';
import { openStorage } from './database.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-'));
afterAll(() => rmSync(folder, { recursive: true }));
const otherSecret = 'NDlhZjY5YzM5MWU3YTE2YjUyY2Q4OGZkMDkzMTRhY2I=';

describeDatabases('Storage', (make) => {
  it('keeps all of it over a restart, used secrets included', async () => {
    const name = join(folder, `${Math.random()}.db`);
    const database = await make();
    const location = database.location === ':memory:' ? name : database.location;
    const keep = async () => ({ location, drop: async () => {} });
    const first = await TestServer.start(keep, { app: { refreshReuseInterval: 0 } });
    const { refreshToken, authenticator } = await first.register('ada@example.com');
    // Of other users, because the first proof of an address ends what was created before.
    const link = await first.createLink('grace@example.com');
    await first.auth('PATCH', '/magic-link/activate', { magic_link: link.secret });
    const { otpId, code } = await first.sendCode('grace@example.com');
    for (let guess = 0; guess < 3; guess++)
      await first.auth('POST', '/otp/activate', { otp_id: otpId, otp: '000000' });
    await first.server.close();

    const again = await createPassageServer({
      baseUrl,
      secret,
      database: location,
      rateLimits: false,
      delivery: outbox({ print: false }),
    });
    expect(again.created).toBeUndefined();
    const call = async (method: string, path: string, body: object) => {
      const init = { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
      const response = await again.fetch(new Request(`${baseUrl}/auth/v1/apps/${first.appId}${path}`, init));
      return { status: response.status, body: await response.json() };
    };
    expect((await call('PATCH', '/magic-link/activate', { magic_link: link.secret })).status).toBe(404);
    expect((await call('POST', '/otp/activate', { otp_id: otpId, otp: code })).status).toBe(401);
    expect((await call('POST', '/tokens', { refresh_token: refreshToken })).status).toBe(201);
    expect((await call('POST', '/tokens', { refresh_token: refreshToken })).status).toBe(401);
    const { body } = await call('POST', '/login/webauthn/start', {});
    const handshake_response = await authenticator.get(body.handshake.challenge.publicKey);
    const login = { handshake_id: body.handshake.id, handshake_response };
    expect((await call('POST', '/login/webauthn/finish', login)).status).toBe(200);
    await again.close();
    await database.drop();
  });

  it('refuses another secret, and changes nothing then', async () => {
    const database = await make();
    const location = database.location === ':memory:' ? join(folder, 'secret.db') : database.location;
    const app = { signingKey };
    const first = await createPassageServer({ baseUrl, secret, database: location, app });
    await first.close();
    await expect(createPassageServer({ baseUrl, secret: otherSecret, database: location })).rejects.toThrow(
      'different secret',
    );
    const again = await createPassageServer({ baseUrl, secret, database: location });
    expect(await again.apps.list()).toHaveLength(1);
    await again.close();
    await database.drop();
  });

  it('changes the secret: passkeys and API keys stay, sessions end', async () => {
    const database = await make();
    const location = database.location === ':memory:' ? join(folder, 'rotate.db') : database.location;
    const first = await TestServer.start(async () => ({ location, drop: async () => {} }));
    const { refreshToken } = await first.register('ada@example.com');
    expect(await first.server.rotateSecret(otherSecret)).toBe(1);
    // A process with the old secret must not get any more requests.
    expect((await first.call('GET', '/readyz')).status).toBe(503);
    await first.server.close();
    await expect(createPassageServer({ baseUrl, secret, database: location })).rejects.toThrow(
      'different secret',
    );
    const again = await createPassageServer({ baseUrl, secret: otherSecret, database: location });
    const refresh = await again.fetch(
      new Request(`${baseUrl}/auth/v1/apps/${first.appId}/tokens`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ refresh_token: refreshToken }),
      }),
    );
    expect(refresh.status).toBe(401);
    const users = await again.fetch(
      new Request(`${baseUrl}/api/v1/apps/${first.appId}/users`, {
        headers: { Authorization: `Bearer ${first.apiKey}` },
      }),
    );
    expect((await users.json()).users).toMatchObject([{ email: 'ada@example.com' }]);
    await again.close();
    await database.drop();
  });

  it.each([
    [
      'was changed',
      (sealed: string) => `${sealed.slice(0, -2)}${sealed.endsWith('AA') ? 'BB' : 'AA'}`,
      'key',
    ],
    ['was moved to another key', (sealed: string) => sealed, 'moved'],
  ])('signs nothing with a private key that %s in the database', async (name, change, kid) => {
    const database = await make();
    const location = database.location === ':memory:' ? join(folder, `${name}.db`) : database.location;
    const server = await TestServer.start(async () => ({ ...database, location }), {
      app: { signingKey: { ...signingKey, kid: 'key' } as JsonWebKey },
    });
    const link = await server.createLink('ada@example.com');
    const storage = await openStorage(location);
    const { private_jwk: sealed } = await storage.db
      .selectFrom('signing_keys')
      .select('private_jwk')
      .executeTakeFirstOrThrow();
    await storage.db
      .updateTable('signing_keys')
      .set({ id: kid, private_jwk: change(sealed) })
      .execute();
    await storage.close();
    const activate = () => server.auth('PATCH', '/magic-link/activate', { magic_link: link.secret });
    expect(await activate()).toMatchObject({ status: 500, body: { code: 'internal_server_error' } });
    // The link was not used up: neither the proof nor the login counts.
    expect((await server.manage('GET', '/users')).body.users).toMatchObject([{ login_count: 0 }]);
    const again = await openStorage(location);
    await again.db.updateTable('signing_keys').set({ id: 'key', private_jwk: sealed }).execute();
    await again.close();
    await server.server.close();
    const healed = await createPassageServer({ baseUrl, secret, database: location });
    const response = await healed.fetch(
      new Request(`${baseUrl}/auth/v1/apps/${server.appId}/magic-link/activate`, {
        method: 'PATCH',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ magic_link: link.secret }),
      }),
    );
    expect(response.status).toBe(200);
    await healed.close();
    await database.drop();
  });

  it('keeps no secret as it is', async () => {
    const database = await make();
    const location = database.location === ':memory:' ? join(folder, 'grep.db') : database.location;
    const server = await TestServer.start(async () => ({ location, drop: async () => {} }));
    const { refreshToken } = await server.register('ada@example.com');
    const link = await server.createLink('ada@example.com');
    const { otpId, code } = await server.sendCode('ada@example.com');
    const { body } = await server.auth('POST', '/login/webauthn/start', {});
    const storage = await openStorage(location);
    const tables = [
      'apps',
      'api_keys',
      'signing_keys',
      'users',
      'devices',
      'handshakes',
      'codes',
      'links',
      'sessions',
      'refresh_tokens',
      'meta',
    ] as const;
    const rows = await Promise.all(tables.map((table) => storage.db.selectFrom(table).selectAll().execute()));
    const text = JSON.stringify(rows);
    await storage.close();
    await server.server.close();
    const { handshake } = body;
    const { d, p, q } = signingKey;
    for (const value of [
      refreshToken,
      link.id,
      link.secret,
      otpId,
      handshake.id,
      handshake.challenge.publicKey.challenge,
      server.apiKey,
      d,
      p,
      q,
    ]) {
      expect(text).not.toContain(value);
    }
    expect(text).not.toContain(`"${code}"`);
    await database.drop();
  });
});

describe('SQLite', () => {
  // Windows has no modes.
  it.skipIf(process.platform === 'win32')('is for nobody else to read, nor is its backup', async () => {
    const [file, copy] = [join(folder, 'private.db'), join(folder, 'private-copy.db')];
    const server = await createPassageServer({ baseUrl, secret, database: file });
    await server.backup(copy);
    for (const path of [file, `${file}-wal`, copy]) expect(statSync(path).mode & 0o777).toBe(0o600);
    await server.close();
  });

  it.each([
    ['is a folder', folder],
    ['is no database', fileURLToPath(import.meta.url)],
  ])('is refused with a text that helps where the path %s', async (_name, database) => {
    const started = createPassageServer({ baseUrl, secret, database });
    await expect(started).rejects.toThrow('must be a SQLite file that this process may read and write');
  });

  it('is durable, and backed up while it is in use', async () => {
    const location = join(folder, 'backup.db');
    const server = await TestServer.start(async () => ({ location, drop: async () => {} }));
    const { refreshToken, authenticator } = await server.register('ada@example.com');
    const link = await server.createLink('ada@example.com');
    const copy = join(folder, 'copy.db');
    const writes = Array.from({ length: 50 }, (_, index) =>
      server.manage('POST', '/users', { email: `user${index}@example.com` }),
    );
    await server.server.backup(copy);
    await Promise.all(writes);
    await server.server.close();
    expect(readFileSync(copy).subarray(0, 15).toString()).toBe('SQLite format 3');
    const restored = await createPassageServer({ baseUrl, secret, database: copy });
    await restored.voidSecrets();
    const storage = await openStorage(copy);
    expect((await sql`pragma integrity_check`.execute(storage.db)).rows).toEqual([{ integrity_check: 'ok' }]);
    expect((await sql`pragma synchronous`.execute(storage.db)).rows).toEqual([{ synchronous: 2 }]);
    expect((await sql`pragma journal_mode`.execute(storage.db)).rows).toEqual([{ journal_mode: 'wal' }]);
    await storage.close();
    const call = async (method: string, path: string, body: object) => {
      const init = { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
      const url = `${baseUrl}/auth/v1/apps/${server.appId}${path}`;
      const response = await restored.fetch(new Request(url, init));
      return { status: response.status, body: await response.json() };
    };
    expect((await call('POST', '/tokens', { refresh_token: refreshToken })).status).toBe(401);
    expect((await call('PATCH', '/magic-link/activate', { magic_link: link.secret })).status).toBe(404);
    const { body } = await call('POST', '/login/webauthn/start', {});
    const handshake_response = await authenticator.get(body.handshake.challenge.publicKey);
    const login = { handshake_id: body.handshake.id, handshake_response };
    expect((await call('POST', '/login/webauthn/finish', login)).status).toBe(200);
    await restored.close();
  });
});

describe('PostgreSQL', () => {
  it('makes one app when two processes start together', async () => {
    const database = await makeSchema(postgres());
    const servers = await Promise.all(
      [0, 1].map(() => createPassageServer({ baseUrl, secret, database: database.location })),
    );
    expect(servers.filter(({ created }) => created)).toHaveLength(1);
    for (const server of servers) {
      expect(await server.apps.list()).toHaveLength(1);
      await server.close();
    }
    await database.drop();
  });

  it('lets a second process go on where the first one was', async () => {
    const database = await makeSchema(postgres());
    const app = { refreshReuseInterval: 0 };
    const first = await TestServer.start(async () => database, { rateLimits: {}, app });
    const second = await createPassageServer({ baseUrl, secret, database: database.location });
    const call = async (path: string, body: object) => {
      const init = {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      };
      const response = await second.fetch(new Request(`${baseUrl}/auth/v1/apps/${first.appId}${path}`, init));
      return { status: response.status, body: await response.json() };
    };
    const { authenticator, refreshToken } = await first.register('ada@example.com');
    const start = await first.auth('POST', '/login/webauthn/start', {});
    const { handshake } = start.body;
    const handshake_response = await authenticator.get(handshake.challenge.publicKey);
    const login = { handshake_id: handshake.id, handshake_response };
    expect((await call('/login/webauthn/finish', login)).status).toBe(200);
    expect((await call('/tokens', { refresh_token: refreshToken })).status).toBe(201);
    expect((await first.auth('POST', '/tokens', { refresh_token: refreshToken })).status).toBe(401);
    for (let message = 0; message < 5; message++) await first.sendCode('ada@example.com');
    expect((await call('/login/otp', { identifier: 'ada@example.com' })).status).toBe(429);
    await second.close();
    await first[Symbol.asyncDispose]();
  });

  it('is unavailable for as long as its connections break, and no longer', async () => {
    let broken = false;
    // Breaks connections when the first bytes come, as a database does that goes away during a query.
    const { database, close } = await makeBehindProxy((bytes, from, to) => {
      if (broken) from.destroy();
      else to.write(bytes);
    });
    const server = await TestServer.start(async () => database);
    broken = true;
    for (let time = 0; time < 3; time++) {
      const answer = await server.manage('GET', '/users');
      expect(answer).toMatchObject({ status: 503, body: { code: 'service_unavailable' } });
      expect(answer.headers.get('Retry-After')).toBe('5');
    }
    broken = false;
    expect((await server.manage('GET', '/users')).status).toBe(200);
    await server[Symbol.asyncDispose]();
    close();
  });

  it('answers reads while the database is read-only, refuses writes for the time being, and goes on after', async () => {
    const role = `test_${Date.now()}`;
    const url = postgres();
    await execute(url, `create role ${role} superuser login password '${new URL(url).password}'`);
    const server = await TestServer.start(async () => {
      const { location, drop } = await makeSchema(url);
      const asRole = new URL(location);
      asRole.username = role;
      return { location: asRole.href, drop };
    });
    const { id } = await server.register('ada@example.com');
    const turn = async (readOnly: 'on' | 'off') => {
      await execute(url, `alter role ${role} set default_transaction_read_only = ${readOnly}`);
      await execute(url, `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${role}'`);
      await expect.poll(async () => (await server.manage('GET', `/users/${id}`)).status).toBe(200);
    };
    await turn('on');
    const add = () => server.manage('POST', '/users', { email: 'grace@example.com' });
    const refused = await add();
    expect(refused).toMatchObject({ status: 503, body: { code: 'service_unavailable' } });
    expect(refused.headers.get('Retry-After')).toBe('5');
    await turn('off');
    await expect.poll(async () => (await add()).status).toBe(201);
    await server[Symbol.asyncDispose]();
    await execute(url, `drop role ${role}`);
  });
});
