import {
  copyFileSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import Database from 'libsql';
import { afterAll, describe, expect, it } from 'vitest';
import { execute, makeSchema, postgres } from '../../test/databases.ts';
import { baseUrl, secret, TestServer } from '../../test/server.ts';
import { createPassageServer, type PassageServer } from '../index.ts';
import { openStorage } from './database.ts';
import { restore } from './restore.ts';
import { createSecrets } from './secrets.ts';

const root = mkdtempSync(join(tmpdir(), 'passage-backup-'));
afterAll(() => rmSync(root, { recursive: true }));
const secrets = createSecrets(Buffer.from(secret, 'base64'));

/** A folder of one test's own, with the path of a database in it. */
function makeFolder() {
  const folder = mkdtempSync(join(root, 'test-'));
  return { folder, file: join(folder, 'passage.db'), list: () => readdirSync(folder).sort() };
}

const start = (location: string) => TestServer.start(async () => ({ location, drop: async () => {} }));

async function countUsers(file: string): Promise<number> {
  const storage = await openStorage(file);
  const rows = await storage.db.selectFrom('users').select('id').execute();
  await storage.close();
  return rows.length;
}

describe('A SQLite file', () => {
  it('is the whole database after close()', async () => {
    for (let time = 0; time < 3; time++) {
      const { file, list } = makeFolder();
      const server = await start(file);
      for (let user = 0; user < 50; user++)
        await server.manage('POST', '/users', { email: `u${user}@example.com` });
      await server.server.close();
      expect(list()).toEqual(['passage.db', 'passage.db-lock']);
      copyFileSync(file, `${file}.copy`);
      expect(await countUsers(`${file}.copy`)).toBe(50);
    }
  });

  it('serves one server at a time', async () => {
    const { file, folder } = makeFolder();
    const first = await start(file);
    symlinkSync(file, join(folder, 'alias.db'));
    for (const database of [file, join(folder, 'alias.db')]) {
      await expect(createPassageServer({ baseUrl, secret, database })).rejects.toThrow(
        `The SQLite file ${database} is in use by another Passage server`,
      );
    }
    expect((await first.manage('POST', '/users', { email: 'ada@example.com' })).status).toBe(201);
    await first.server.close();
    const next = await createPassageServer({ baseUrl, secret, database: file });
    await next.close();
    expect(await countUsers(file)).toBe(1);
  });

  it('waits for a server that is stopping', async () => {
    const { file } = makeFolder();
    const first = await start(file);
    const next = createPassageServer({ baseUrl, secret, database: file });
    await first.server.close();
    await (await next).close();
  });

  it('is copied before its tables change, for nobody else to read', async () => {
    const { file, folder, list } = makeFolder();
    const old = new Database(file);
    old.exec(readFileSync(new URL('fixtures/unnamed.sqlite.sql', import.meta.url), 'utf8'));
    old.close();
    for (let time = 0; time < 2; time++) await (await openStorage(file, 'serve')).close();
    const [name = '', ...others] = list().filter((entry) => entry.includes('before'));
    expect(name).toMatch(/^passage\.db\.before-\d{4}-[a-z-]+\.\d{8}T\d{6}Z$/);
    expect(others).toEqual([]);
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    const copy = new Database(join(folder, name));
    expect(copy.prepare('select id from migrations').all()).toMatchObject([{ id: 1 }]);
    copy.close();
  });

  it('is not copied when a migration is refused', async () => {
    const { file, list } = makeFolder();
    const old = new Database(file);
    old.exec(
      `create table migrations (id integer primary key, checksum text); insert into migrations values (1, 'x')`,
    );
    old.close();
    await expect(openStorage(file)).rejects.toThrow('differ');
    expect(list()).toEqual(['passage.db', 'passage.db-lock']);
  });

  it('is migrated by no command while a server uses it', async () => {
    const { file } = makeFolder();
    const server = await start(file);
    const newer = new Database(file);
    newer.exec(`delete from migrations where name = (select max(name) from migrations)`);
    newer.close();
    await expect(openStorage(file)).rejects.toThrow('in use by another Passage server');
    await server.server.close();
  });
});

describe('backup', () => {
  it('overwrites nothing', async () => {
    const { file, folder } = makeFolder();
    const server = await start(file);
    linkSync(file, join(folder, 'link.db'));
    writeFileSync(join(folder, 'other.txt'), 'mine');
    for (const name of [
      'passage.db',
      'link.db',
      'other.txt',
      'passage.db-wal',
      'passage.db-journal',
      'passage.db-lock',
    ]) {
      await expect(server.server.backup(join(folder, name))).rejects.toThrow(
        /exists: a backup does not|belongs to the database/,
      );
    }
    await expect(server.server.backup(join(folder, 'none', 'copy.db'))).rejects.toThrow('must be a new file');
    expect(readFileSync(join(folder, 'other.txt'), 'utf8')).toBe('mine');
    expect((await server.manage('POST', '/users', { email: 'ada@example.com' })).status).toBe(201);
    await server.server.backup(join(folder, 'copy.db'));
    expect(await countUsers(join(folder, 'copy.db'))).toBe(1);
    await server.server.close();
  });

  // What pg_restore leaves behind: all rows of the backup in another database.
  it('is made harmless by voidSecrets() after a restore of PostgreSQL', async () => {
    const source = await makeSchema(postgres());
    const server = await TestServer.start(async () => source);
    const ada = await server.register('ada@example.com');
    const link = await server.createLink('ada@example.com');
    const database = await makeSchema(postgres());
    const [from, to] = [source.location, database.location].map(
      (location) => /search_path=(\w+)/.exec(decodeURIComponent(location))?.[1],
    );
    await (await openStorage(database.location)).close();
    const tables = [
      'meta',
      'apps',
      'api_keys',
      'signing_keys',
      'users',
      'devices',
      'sessions',
      'refresh_tokens',
      'links',
    ];
    await execute(
      database.location,
      tables.map((table) => `insert into ${to}.${table} select * from ${from}.${table}`).join(';'),
    );
    await server[Symbol.asyncDispose]();
    const again = await createPassageServer({ baseUrl, secret, database: database.location });
    await again.voidSecrets();
    await expectHarmless(again, server.appId, ada, link);
    await again.close();
    await database.drop();
  });

  it('is for SQLite', async () => {
    const server = await TestServer.start(() => makeSchema(postgres()));
    await expect(server.server.backup(join(root, 'pg.db'))).rejects.toThrow('backed up with pg_dump');
    await expect(restore(join(root, 'pg.db'), postgres(), secrets)).rejects.toThrow(
      'restored with pg_restore',
    );
    await server[Symbol.asyncDispose]();
  });
});

describe('restore', () => {
  /** A database with Ada, a backup of it, and then also Grace. */
  async function prepare() {
    const place = makeFolder();
    const server = await start(place.file);
    const ada = await server.register('ada@example.com');
    const link = await server.createLink('ada@example.com');
    const backup = join(place.folder, 'backup.db');
    await server.server.backup(backup);
    await server.register('grace@example.com');
    return { ...place, server, ada, link, backup };
  }

  it('brings a backup back, says what it holds, and ends what may have been used', async () => {
    const { file, list, folder, server, ada, link, backup } = await prepare();
    await server.server.close();
    for (let time = 0; time < 3; time++) {
      const held = await restore(backup, file, secrets);
      expect(held).toMatchObject({ apps: 1, users: 1, passkeys: 1, newestEvent: new Date(server.now) });
      expect(await countUsers(held.replaced ?? '')).toBe(time === 0 ? 2 : 1);
    }
    expect(list().filter((name) => /wal|shm|restoring/.test(name))).toEqual([]);
    for (const name of list()) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);

    const again = await createPassageServer({ baseUrl, secret, database: file });
    await expectHarmless(again, server.appId, ada, link);
    await again.close();
  });

  it('brings a backup to a machine that has no database yet', async () => {
    const { backup, server } = await prepare();
    await server.server.close();
    const { file, list } = makeFolder();
    expect(await restore(backup, file, secrets)).toMatchObject({ users: 1, replaced: undefined });
    expect(list()).toEqual(['passage.db', 'passage.db-lock']);
  });

  it('takes a copy of a database together with its log', async () => {
    const { file, folder, server } = await prepare();
    for (const suffix of ['', '-wal']) copyFileSync(file + suffix, join(folder, `raw.db${suffix}`));
    await server.server.close();
    expect(await restore(join(folder, 'raw.db'), file, secrets)).toMatchObject({ users: 2 });
  });

  it('replaces a database that is damaged, and keeps it', async () => {
    const { file, server, backup } = await prepare();
    await server.server.close();
    writeFileSync(file, 'no database');
    const { replaced = '' } = await restore(backup, file, secrets);
    expect(readFileSync(replaced, 'utf8')).toBe('no database');
    expect(await countUsers(file)).toBe(1);
  });

  it('stops at a running server, which goes on', async () => {
    const { file, server, backup } = await prepare();
    await expect(restore(backup, file, secrets)).rejects.toThrow('in use by another Passage server');
    expect((await server.manage('GET', '/users')).body.users).toHaveLength(2);
    await server.server.close();
  });

  it('stops at any other process that uses the database', async () => {
    const { file, server, backup } = await prepare();
    await server.server.close();
    const visitor = await openStorage(file);
    await visitor.db.selectFrom('users').selectAll().execute();
    await expect(restore(backup, file, secrets)).rejects.toThrow('in use by another process');
    await visitor.close();
  });

  it.each([
    ['is missing', (backup: string) => rmSync(backup), 'must be a file'],
    ['is text', (backup: string) => writeFileSync(backup, 'text'), 'cannot be restored'],
    ['is empty', (backup: string) => writeFileSync(backup, ''), 'not a database of a Passage server'],
    [
      'is cut off',
      (backup: string) => writeFileSync(backup, readFileSync(backup).subarray(0, 90_000)),
      'cannot be restored',
    ],
    [
      'is damaged in the middle',
      (backup: string) => {
        const bytes = readFileSync(backup);
        writeFileSync(backup, bytes.fill(0x55, 4096, bytes.length / 2));
      },
      'cannot be restored',
    ],
    ['is of a newer version', change(`insert into migrations values ('9999-later', 'x')`), 'newer version'],
    ['lost rows', change(`pragma foreign_keys = off; delete from apps`), 'rows are missing'],
    ['belongs to another secret', change(`update meta set value = 'x' where name = 'secret'`), 'secret'],
  ])('changes nothing when the backup %s', async (_name, spoil, reason) => {
    const { file, list, server, backup } = await prepare();
    await server.server.close();
    await spoil(backup);
    const [before, names] = [readFileSync(file), list()];
    await expect(restore(backup, file, secrets)).rejects.toThrow(reason);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(list()).toEqual(names);
    expect(await countUsers(file)).toBe(2);
  });

  it('is refused onto itself', async () => {
    const { file, folder, server } = await prepare();
    await server.server.close();
    linkSync(file, join(folder, 'link.db'));
    for (const backup of [file, join(folder, 'link.db')])
      await expect(restore(backup, file, secrets)).rejects.toThrow('is the database itself');
    expect(await countUsers(file)).toBe(2);
  });
});

/** What was issued before the backup is over, and passkeys work. */
async function expectHarmless(
  server: PassageServer,
  appId: string,
  user: Awaited<ReturnType<TestServer['register']>>,
  link: { secret: string },
): Promise<void> {
  const call = async (method: string, path: string, body: object) => {
    const init = { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
    const url = `${baseUrl}/auth/v1/apps/${appId}${path}`;
    const response = await server.fetch(new Request(url, init));
    return { status: response.status, body: await response.json() };
  };
  expect((await call('POST', '/tokens', { refresh_token: user.refreshToken })).status).toBe(401);
  expect((await call('PATCH', '/magic-link/activate', { magic_link: link.secret })).status).toBe(404);
  const { body } = await call('POST', '/login/webauthn/start', {});
  const handshake_response = await user.authenticator.get(body.handshake.challenge.publicKey);
  const login = { handshake_id: body.handshake.id, handshake_response };
  expect((await call('POST', '/login/webauthn/finish', login)).status).toBe(200);
}

function change(statements: string) {
  return async (file: string) => {
    const storage = await openStorage(file);
    for (const statement of statements.split('; ')) await sql.raw(statement).execute(storage.db);
    await storage.close();
  };
}
