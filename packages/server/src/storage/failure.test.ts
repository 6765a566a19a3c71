import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import Database from 'libsql';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { execute, makeBehindProxy, makeSchema, postgres } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';
import { openStorage, type Storage } from './database.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-failure-'));
afterAll(() => rmSync(folder, { recursive: true }));

const unavailable = { status: 503, body: { code: 'service_unavailable' } };

/** A role of one test's own in a schema of its own. */
async function makeRole() {
  const name = `role_${randomBytes(6).toString('hex')}`;
  const url = postgres();
  await execute(url, `create role ${name} superuser login password '${new URL(url).password}'`);
  const { location, drop } = await makeSchema(url);
  const own = new URL(location);
  own.username = name;
  return {
    name,
    location: own.href,
    alter: (setting: string) => execute(url, `alter role ${name} ${setting}`),
    disconnect: () =>
      execute(url, `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${name}'`),
    drop: async () => {
      await drop();
      await execute(url, `drop role ${name}`);
    },
  };
}

describe('PostgreSQL', () => {
  it.each(['serializable', 'repeatable read', 'read committed'])(
    'works at READ COMMITTED where the default is %s, and sets nothing in connections that a pooler shares',
    async (isolation) => {
      const role = await makeRole();
      await role.alter(`set default_transaction_isolation = '${isolation}'`);
      const { db, close } = await openStorage(role.location);
      const level = sql`show transaction_isolation`;
      const levels = await Promise.all(Array.from({ length: 12 }, () => level.execute(db)));
      levels.push(await db.transaction().execute((trx) => level.execute(trx)));
      for (const { rows } of levels) expect(rows).toEqual([{ transaction_isolation: 'read committed' }]);
      const settings = sql`select name from pg_settings where source = 'session'
        and name not like 'transaction_%'`;
      expect((await settings.execute(db)).rows).toEqual([]);
      await close();
      await role.drop();
    },
  );

  it('leaves no transaction open where a statement fails and the default is stricter', async () => {
    const role = await makeRole();
    await role.alter(`set default_transaction_isolation = 'serializable'`);
    const { db, close } = await openStorage(role.location);
    await expect(sql`select 1 / 0`.execute(db)).rejects.toMatchObject({ code: '22012' });
    await addRows({ db }, 'kept');
    const other = await openStorage(role.location);
    expect(await other.db.selectFrom('meta').select('name').execute()).toEqual([{ name: 'kept' }]);
    await other.close();
    await close();
    await role.drop();
  });

  it('is unavailable while it takes no connection of the server, and no longer', async () => {
    const role = await makeRole();
    const server = await TestServer.start(async () => role);
    const list = () => server.manage('GET', '/users');
    // Too many connections, and no right to log in.
    for (const [refuse, allow] of [
      ['connection limit 0 nosuperuser', 'connection limit -1 superuser'],
      ['nologin', 'login'],
    ] as const) {
      await role.alter(refuse);
      await role.disconnect();
      await expect.poll(async () => (await list()).status).toBe(503);
      const answer = await list();
      expect(answer).toMatchObject(unavailable);
      expect(answer.headers.get('Retry-After')).toBe('5');
      await role.alter(allow);
      await expect.poll(async () => (await list()).status).toBe(200);
    }
    await server[Symbol.asyncDispose]();
  });

  it('answers 200 or 503 while an administrator ends its connections', async () => {
    const role = await makeRole();
    const server = await TestServer.start(async () => role);
    const statuses = new Set<number>();
    let ending = true;
    const work = async () => {
      while (ending) statuses.add((await server.manage('GET', '/users')).status);
    };
    const workers = [work(), work(), work()];
    for (let time = 0; time < 5; time++) await role.disconnect();
    ending = false;
    await Promise.all(workers);
    expect([...statuses].sort()).toEqual([200, 503]);
    await expect.poll(async () => (await server.manage('GET', '/users')).status).toBe(200);
    await server[Symbol.asyncDispose]();
  });

  // Windows has no socket files.
  it.skipIf(process.platform === 'win32')('is unavailable while its socket file is gone', async () => {
    const target = new URL(postgres());
    const sockets = new Set<Socket>();
    const open = () =>
      new Promise<() => Promise<void>>((resolve) => {
        const proxy = createServer((near) => {
          const far = connect(Number(target.port), target.hostname);
          for (const socket of [near, far]) sockets.add(socket.on('error', () => undefined));
          near.pipe(far).pipe(near);
        });
        const close = () =>
          new Promise<void>((done) => {
            for (const socket of sockets) socket.destroy();
            proxy.close(() => done());
          });
        proxy.listen(join(folder, '.s.PGSQL.5432'), () => resolve(close));
      });
    let close = await open();
    const server = await TestServer.start(async () => {
      const { location, drop } = await makeSchema(postgres());
      const { searchParams, username, password, pathname } = new URL(location);
      searchParams.set('host', folder);
      const user = password ? `${username}:${password}` : username || 'postgres';
      return { location: `postgres://${user}@${pathname}?${searchParams}`, drop };
    });
    await close();
    for (let time = 0; time < 2; time++)
      expect(await server.manage('GET', '/users')).toMatchObject(unavailable);
    close = await open();
    expect((await server.manage('GET', '/users')).status).toBe(200);
    await server[Symbol.asyncDispose]();
    await close();
  });

  // `OUTAGE_SECONDS=30` for one that takes longer.
  it('is unavailable while packets to it vanish, serves keys meanwhile, and comes back by itself', async () => {
    let vanishing = false;
    const { database, close } = await makeBehindProxy((bytes, _, to) => void (vanishing || to.write(bytes)));
    const server = await TestServer.start(async () => database);
    const list = () => server.manage('GET', '/users');
    const keys = () => server.auth('GET', '/.well-known/jwks.json');
    expect((await keys()).status).toBe(200);
    vanishing = true;
    const over = performance.now() + 1_000 * Number(process.env.OUTAGE_SECONDS ?? 0);
    do {
      const answers = await Promise.all([list(), list(), list()]);
      for (const answer of answers) {
        expect(answer).toMatchObject(unavailable);
        expect(answer.headers.get('Retry-After')).toBe('5');
      }
    } while (performance.now() < over);
    expect((await keys()).status).toBe(200);
    vanishing = false;
    await expect.poll(async () => (await list()).status).toBe(200);
    await server[Symbol.asyncDispose]();
    close();
  }, 120_000);

  it.each([
    ['at nobody', 'postgres://127.0.0.1:1/passage', '127.0.0.1:1: connect ECONNREFUSED'],
    ['at no socket', `postgres://passage@/passage?host=${folder}/none`, `${folder}/none: connect ENOENT`],
  ])('is missed on startup %s with host and cause', async (_name, location, text) => {
    await expect(openStorage(location)).rejects.toThrow(`Cannot connect to PostgreSQL at ${text}`);
  });

  it('is missed on startup when the database does not exist', async () => {
    const location = new URL(postgres());
    location.pathname = '/none';
    await expect(openStorage(location.href)).rejects.toThrow(
      `Cannot connect to PostgreSQL at ${location.host}: database "none" does not exist`,
    );
  });

  describe.each([
    String.raw`-c search_path=%,\ public`,
    '--search-path="%",Public',
    '-c geqo=off -c SEARCH_PATH=%,public -c geqo=on',
    '-csearch_path=none -csearch_path=%,public',
  ])('with the options %s', (form) => {
    const choose = (url: URL) => {
      const schema = url.searchParams.get('options')?.split('=')[1] ?? '';
      const options = form.replace('%', schema);
      url.searchParams.set('options', options);
      return { schema, options };
    };

    it('uses the schema of the URL', async () => {
      const { location, drop } = await makeSchema(postgres());
      const url = new URL(location);
      const { schema } = choose(url);
      const storage = await openStorage(url.href);
      const { rows } = await sql`select current_schema() as name`.execute(storage.db);
      expect(rows).toEqual([{ name: schema }]);
      await storage.close();
      await drop();
    });

    // As PgBouncer does with `ignore_startup_parameters = options`.
    it('is refused where a pooler ignores them, unless its user has the schema', async () => {
      const { database, close } = await makeBehindProxy((bytes, _, to) => {
        const without = bytes
          .toString('latin1')
          .replace(/(?<=\0options\0)[^\0]+/, (options) => ' '.repeat(options.length));
        to.write(Buffer.from(without, 'latin1'));
      });
      const role = await makeRole();
      const url = new URL(database.location);
      url.username = role.name;
      const { schema, options } = choose(url);
      const text = 'ignores the search_path of the URL. Set it for the user instead: alter role';
      await expect(openStorage(url.href)).rejects.toThrow(`${text} ${role.name} set search_path =`);
      await role.alter(`set search_path = ${schema}`);
      await expect(openStorage(url.href)).rejects.toThrow(text);
      await role.alter(`set search_path = ${schema}, public`);
      await (await openStorage(url.href)).close();
      await role.alter('reset search_path');
      url.searchParams.delete('options');
      vi.stubEnv('PGOPTIONS', options);
      await expect(openStorage(url.href)).rejects.toThrow(text);
      vi.unstubAllEnvs();
      await database.drop();
      await role.drop();
      close();
    });
  });

  it('says how to set what a pooler does not take from the URL', async () => {
    const text = 'unsupported startup parameter: options';
    // The error of PgBouncer: https://www.postgresql.org/docs/current/protocol-error-fields.html
    const fields = Buffer.from(`SFATAL\0C08P01\0M${text}\0\0`);
    const length = Buffer.alloc(4);
    length.writeInt32BE(fields.length + 4);
    const pooler = createServer((socket) => {
      socket
        .on('error', () => undefined)
        .on('data', () => socket.end(Buffer.concat([Buffer.from('E'), length, fields])));
    });
    await new Promise<void>((resolve) => pooler.listen(0, '127.0.0.1', resolve));
    const { port } = pooler.address() as AddressInfo;
    await expect(openStorage(`postgres://passage@127.0.0.1:${port}/passage`)).rejects.toThrow(
      `${text}. The pooler does not take it: remove it from the URL, and set it for the user with "alter role"`,
    );
    pooler.close();
  });

  it('runs transactions again that wait for each other', async () => {
    const { location, drop } = await makeSchema(postgres());
    const storage = await openStorage(location);
    await addRows(storage, 'a', 'b');
    let runs = 0;
    let arrived = 0;
    let meet = () => {};
    const met = new Promise<void>((resolve) => {
      meet = resolve;
    });
    const swap = (first: string, second: string) =>
      storage.db.transaction().execute(async (trx) => {
        runs += 1;
        const set = (name: string) =>
          trx.updateTable('meta').set({ value: first }).where('name', '=', name).execute();
        await set(first);
        arrived += 1;
        if (arrived === 2) meet();
        await met;
        await set(second);
      });
    await Promise.all([swap('a', 'b'), swap('b', 'a')]);
    // Whoever runs again may lose again on a busy machine.
    expect(runs).toBeGreaterThan(2);
    await storage.close();
    await drop();
  });

  it('says why a transaction lost its connection, and leaves that connection', async () => {
    const { location, drop } = await makeSchema(postgres());
    const storage = await openStorage(location);
    const lost = storage.db.transaction().execute(async (trx) => {
      await sql`select pg_terminate_backend(pg_backend_pid())`.execute(trx);
    });
    await expect(lost).rejects.toMatchObject({ code: '57P01' });
    expect((await sql`select 1 as one`.execute(storage.db)).rows).toEqual([{ one: 1 }]);
    await storage.close();
    await drop();
  });

  it('gives up after three attempts', async () => {
    const { location, drop } = await makeSchema(postgres());
    const storage = await openStorage(location);
    let runs = 0;
    const fail = storage.db.transaction().execute(async (trx) => {
      runs += 1;
      await sql`do $$ begin raise serialization_failure; end $$`.execute(trx);
    });
    await expect(fail).rejects.toMatchObject({ code: '40001' });
    expect(runs).toBe(3);
    await storage.close();
    await drop();
  });

  it('lets one of many concurrent requests take an address, and answers none with a server error', async () => {
    const server = await TestServer.start(() => makeSchema(postgres()));
    const many = Array.from({ length: 10 }, (_, index) => index);
    const made = await Promise.all(
      many.map((index) => server.manage('POST', '/users', { email: `u${index}@example.com` })),
    );
    const changed = await Promise.all(
      made.map(({ body }) => server.manage('PATCH', `/users/${body.user.id}`, { email: 'one@example.com' })),
    );
    expect(changed.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(400)]);
    await server[Symbol.asyncDispose]();
  });
});

describe('SQLite', () => {
  it('is unavailable while another process holds its lock', async () => {
    const file = join(folder, 'busy.db');
    const server = await TestServer.start(async () => ({ location: file, drop: async () => {} }));
    const add = (email: string) => server.manage('POST', '/users', { email });
    const other = new Database(file);
    other.exec('begin immediate');
    const answer = await add('ada@example.com');
    expect(answer).toMatchObject(unavailable);
    expect(answer.headers.get('Retry-After')).toBe('5');
    other.exec('rollback');
    other.close();
    expect((await add('ada@example.com')).status).toBe(201);
    await server.server.close();
  });

  it('waits for the lock of another process, and does not stop this one meanwhile', async () => {
    const file = join(folder, 'short.db');
    const server = await TestServer.start(async () => ({ location: file, drop: async () => {} }));
    const link = await server.createLink('ada@example.com');
    const other = new Database(file);
    const holdLock = () => {
      other.exec('begin immediate');
      setTimeout(() => other.exec('rollback'), 200);
    };
    holdLock();
    const login = await server.auth('PATCH', '/magic-link/activate', { magic_link: link.secret });
    expect(login.status).toBe(200);
    // One statement outside a transaction.
    holdLock();
    expect((await server.manage('POST', '/users', { email: 'grace@example.com' })).status).toBe(201);
    other.close();
    await server.server.close();
  });
});

async function addRows({ db }: Pick<Storage, 'db'>, ...names: string[]): Promise<void> {
  await db
    .insertInto('meta')
    .values(names.map((name) => ({ name, value: '' })))
    .execute();
}
