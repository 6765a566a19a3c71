import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import Database from 'libsql';
import { afterAll, describe, expect, it } from 'vitest';
import { execute, makeSchema, postgres, type TestDatabase } from '../../test/databases.ts';
import { baseUrl } from '../../test/server.ts';
import { createPassageServer } from '../index.ts';
import { openStorage, type Storage } from './database.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-migrations-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the databases in `fixtures/` were made with, at noon. */
const secret = 'cGFzc2FnZSBhdXRoOiBvZiB0aGUgZml4dHVyZSBvbmx5IQ==';
const noon = Date.parse('2026-01-20T12:00:00Z');

const kinds = [
  {
    name: 'SQLite',
    userId: '48VpyWVOp2oQtqA8avJ5RN7c',
    refreshToken: 'MZvd4GT9YASuqwo4FWadoNPmlEaAvdCIoSsIAr-CxSo',
    fixture: 'unnamed.sqlite.sql',
    make: async (): Promise<TestDatabase> => ({
      location: join(folder, `${Math.random()}.db`),
      drop: async () => {},
    }),
    load: async (location: string, text: string) => {
      const database = new Database(location);
      database.exec(text);
      database.close();
    },
  },
  {
    name: 'PostgreSQL',
    userId: '8EmpOVMy9P4N2oUWXoq3u9MA',
    refreshToken: 'vgEV5jBWin8946R6R1W0kPQ5XZsfDlgRC2UNSrgxojk',
    fixture: 'unnamed.postgres.sql',
    make: () => makeSchema(postgres()),
    load: execute,
  },
];

describe.each(kinds)('Migrations ($name)', ({ make, load, fixture, userId, refreshToken }) => {
  const loadFixture = async () => {
    const database = await make();
    await load(database.location, readFileSync(new URL(`fixtures/${fixture}`, import.meta.url), 'utf8'));
    return database;
  };

  it('brings a database whose migrations have numbers to the schema of a new one', async () => {
    const [old, fresh] = [await loadFixture(), await make()];
    const schemas = [];
    for (const { location } of [old, fresh, fresh]) {
      const storage = await openStorage(location);
      schemas.push(await describeSchema(storage));
      await storage.close();
    }
    expect(schemas[0]).toEqual(schemas[1]);
    expect(schemas[2]).toEqual(schemas[1]);
    await old.drop();
    await fresh.drop();
  });

  it('keeps users, passkeys and keys, and ends sessions from before proofs were recorded', async () => {
    const { location, drop } = await loadFixture();
    const server = await createPassageServer({ baseUrl, secret, database: location, clock: () => noon });
    const call = async (path: string, init?: RequestInit) => {
      const response = await server.fetch(new Request(baseUrl + path, init));
      return { status: response.status, body: await response.json() };
    };
    const headers = { Authorization: `Bearer ${'f'.repeat(10)}.${'x'.repeat(64)}` };
    expect(await call(`/api/v1/apps/fixtureapp/users/${userId}`, { headers })).toMatchObject({
      status: 200,
      body: { user: { email: 'ada@example.com', login_count: 1, webauthn_devices: [{ usage_count: 1 }] } },
    });
    const refresh = await call('/auth/v1/apps/fixtureapp/tokens', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ refresh_token: refreshToken }),
    });
    expect(refresh).toMatchObject({ status: 401, body: { code: 'invalid_refresh_token' } });
    await server.close();
    await drop();
  });

  it.each([
    ['has another first migration', `update migrations set checksum = 'x'`],
    ['has more of them', `insert into migrations (id, checksum) values (2, 'x')`],
  ])('refuses a database with numbers that %s, and leaves it as it is', async (_name, change) => {
    const { location, drop } = await loadFixture();
    await load(location, change);
    await expect(openStorage(location)).rejects.toThrow(
      "migrations of the database differ from this version's",
    );
    await load(location, 'update migrations set id = id + 1000');
    await drop();
  });

  it('migrates a new database that had only begun with numbers', async () => {
    const { location, drop } = await make();
    await load(location, 'create table migrations (id integer primary key, checksum text not null)');
    const storage = await openStorage(location);
    expect(await storage.db.selectFrom('users').selectAll().execute()).toEqual([]);
    await storage.close();
    await drop();
  });

  it('runs once when several processes start together', async () => {
    const { location, drop } = await loadFixture();
    const storages = await Promise.all([0, 1, 2].map(() => openStorage(location)));
    for (const storage of storages) await storage.close();
    await drop();
  });

  it.each([
    [
      'of a newer version',
      `insert into migrations (name, checksum) values ('9999-later', 'x')`,
      '9999-later',
    ],
    [
      'with a changed migration',
      `update migrations set checksum = 'x'`,
      '0001-tables of the database differs',
    ],
  ])('refuses a database %s, and leaves it as it is', async (_name, change, reason) => {
    const { location, drop } = await make();
    const storage = await openStorage(location);
    const before = await describeSchema(storage);
    await sql.raw(change).execute(storage.db);
    await expect(openStorage(location)).rejects.toThrow(reason);
    expect(await describeSchema(storage)).toEqual(before);
    await storage.close();
    await drop();
  });
});

// One set of queries serves both databases, so both must have the same tables.
it('makes the same schema in both databases', async () => {
  const schemas = [];
  for (const { make } of kinds) {
    const { location, drop } = await make();
    const storage = await openStorage(location);
    schemas.push(await describeSchema(storage));
    await storage.close();
    await drop();
  }
  expect(schemas[0]?.length).toBeGreaterThan(100);
  expect(schemas[1]).toEqual(schemas[0]);
});

it('makes the tables of a file in memory too, for the first server of a process and for the next', async () => {
  const statements = sql`select type, name, sql from sqlite_schema order by name`;
  const applied = sql`select * from migrations order by name`;
  const found = [];
  for (const location of [join(folder, 'tables.db'), ':memory:', ':memory:']) {
    const { db, close } = await openStorage(location);
    found.push([(await statements.execute(db)).rows, (await applied.execute(db)).rows]);
    await close();
  }
  expect(found[0]?.[0]?.length).toBeGreaterThan(20);
  expect(found[1]).toEqual(found[0]);
  expect(found[2]).toEqual(found[0]);
});

/** Describes columns, keys and indexes, one a line, in terms that both databases have. */
async function describeSchema({ db, kind }: Storage): Promise<string[]> {
  const query = kind === 'postgres' ? postgresSchema : sqliteSchema;
  const { rows } = await sql.raw<{ line: string }>(query).execute(db);
  return rows.map(({ line }) => line).sort();
}

const sqliteSchema = `
  with tables as (select name from sqlite_master where type = 'table' and name not like 'sqlite_%')
  select t.name || '.' || c.name || ' ' || lower(c.type) || iif(c."notnull", ' not null', '') as line
    from tables t, pragma_table_info(t.name) c
  union all
  select t.name || ' key ' || (select group_concat(name) from (select name from pragma_table_info(t.name) where pk > 0 order by pk))
    from tables t
  union all
  select t.name || iif(i."unique", ' unique ', ' ') || 'index ' || i.name || ' ' ||
      (select group_concat(name) from (select name from pragma_index_info(i.name) order by seqno))
    from tables t, pragma_index_list(t.name) i where i.origin = 'c'
  union all
  select t.name || ' ' || group_concat(f."from") || ' references ' || f."table" || ' ' || group_concat(f."to") || ' ' || f.on_delete
    from tables t, pragma_foreign_key_list(t.name) f group by t.name, f.id`;

const postgresSchema = `
  with tables as (select oid, relname as name from pg_class where relkind = 'r' and relnamespace = current_schema()::regnamespace),
  columns as (select attrelid, attnum, attname, attnotnull, format_type(atttypid, null) as type
    from pg_attribute where attnum > 0 and not attisdropped),
  keys as (select c.*, t.name,
      (select string_agg(attname, ',' order by place) from unnest(conkey) with ordinality k (num, place)
        join columns on attrelid = conrelid and attnum = num) as own,
      (select string_agg(attname, ',' order by place) from unnest(confkey) with ordinality k (num, place)
        join columns on attrelid = confrelid and attnum = num) as foreign_columns
    from pg_constraint c join tables t on t.oid = conrelid)
  select name || '.' || attname || ' ' || type || case when attnotnull then ' not null' else '' end as line
    from tables join columns on attrelid = oid
  union all
  select name || ' key ' || own from keys where contype = 'p'
  union all
  select t.name || case when indisunique then ' unique ' else ' ' end || 'index ' || indexrelid::regclass || ' ' ||
      (select string_agg(attname, ',' order by place) from unnest(indkey) with ordinality k (num, place)
        join columns on attrelid = indrelid and attnum = num)
    from tables t join pg_index on indrelid = t.oid where not indisprimary
  union all
  select name || ' ' || own || ' references ' || confrelid::regclass || ' ' || foreign_columns || ' ' ||
      case confdeltype when 'c' then 'CASCADE' when 'n' then 'SET NULL' when 'r' then 'RESTRICT' else 'NO ACTION' end
    from keys where contype = 'f'`;
