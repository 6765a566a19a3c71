import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { describe } from 'vitest';

/** A database of one test's own. */
export interface TestDatabase {
  location: string;
  drop(): Promise<void>;
}

const makeMemory = async (): Promise<TestDatabase> => ({ location: ':memory:', drop: async () => {} });

/** Migrated schemas of PostgreSQL whose tests have ended. Creating the tables takes longer than most tests. */
const vacant = new Set<string>();

async function makePostgres(): Promise<TestDatabase> {
  const [location = (await makeSchema(postgres())).location] = vacant;
  vacant.delete(location);
  const drop = async () => {
    await execute(location, empty);
    vacant.add(location);
  };
  return { location, drop };
}

/** Leaves the tables as a migration of an empty database does. */
const empty = `do $$
  declare name text;
  begin
    for name in select tablename from pg_tables where schemaname = current_schema() and tablename <> 'migrations'
    loop execute format('delete from %I', name); end loop;
  end $$`;

/** How to make a database of each kind. */
export const databases = [makeMemory, makePostgres];

/** Declares tests once for each kind of database. */
export function describeDatabases(name: string, tests: (make: () => Promise<TestDatabase>) => void): void {
  describe(`${name} (SQLite)`, () => tests(makeMemory));
  describe(`${name} (PostgreSQL)`, () => tests(makePostgres));
}

/** Declares tests once for each kind of database that outlives its process: a SQLite file, and PostgreSQL. */
export function describeStored(name: string, tests: (make: () => Promise<TestDatabase>) => void): void {
  describe(`${name} (SQLite file)`, () => tests(makeFile));
  describe(`${name} (PostgreSQL)`, () => tests(makePostgres));
}

async function makeFile(): Promise<TestDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'passage-'));
  return { location: join(folder, 'passage.db'), drop: () => rm(folder, { recursive: true }) };
}

/** URL of the PostgreSQL that the tests of this run have for themselves. */
export function postgres(): string {
  const url = process.env.DATABASE_URL;
  if (!url) throw new Error('DATABASE_URL is not set: tests/setup/postgres.ts has not run');
  return url;
}

/** Makes a schema of PostgreSQL, which is a database for all that the server can see. */
export async function makeSchema(url: string): Promise<TestDatabase> {
  const schema = `test_${randomBytes(8).toString('hex')}`;
  await execute(url, `create schema ${schema}`);
  const location = new URL(url);
  location.searchParams.set('options', `-csearch_path=${schema}`);
  return { location: location.href, drop: () => execute(url, `drop schema ${schema} cascade`) };
}

/**
 * Makes a schema of PostgreSQL that is reached through a proxy.
 *
 * @param pass What to do with bytes, given the socket they came from and the one they go to.
 */
export async function makeBehindProxy(pass: (bytes: Buffer, from: Socket, to: Socket) => void) {
  const target = new URL(postgres());
  const sockets = new Set<Socket>();
  const proxy = createServer((near) => {
    const far = connect(Number(target.port || 5432), target.hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from.on('error', () => undefined).on('close', () => to.destroy()));
      from.on('data', (bytes: Buffer) => pass(bytes, from, to));
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { location, drop } = await makeSchema(target.href);
  const through = new URL(location);
  through.host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const close = () => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  };
  return { database: { location: through.href, drop }, close };
}

/** Runs one statement, as an administrator of the database does. */
export async function execute(url: string, statement: string): Promise<void> {
  pg.defaults.user ??= userInfo().username;
  const client = new pg.Client(url);
  await client.connect();
  await client.query(statement);
  await client.end();
}
