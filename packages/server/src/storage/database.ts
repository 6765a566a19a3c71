import { mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  CompiledQuery,
  Kysely,
  PostgresDialect,
  SqliteDialect,
  SqliteDriver,
  type Transaction,
} from 'kysely';
import Database from 'libsql';
import pg from 'pg';
import { migrate } from './migrations.ts';
import type { Schema } from './schema.ts';

/** The database, or a transaction in it: queries take either. */
export type Queries = Kysely<Schema> | Transaction<Schema>;

export type DatabaseKind = 'sqlite' | 'postgres';

export interface Storage {
  readonly kind: DatabaseKind;
  readonly db: Kysely<Schema>;
  close(): Promise<void>;
}

/**
 * Opens the database and brings its tables up to date.
 *
 * @param location SQLite file, `:memory:`, or a `postgres://` URL.
 */
export async function openStorage(location: string): Promise<Storage> {
  const kind = /^postgres(ql)?:\/\//.test(location) ? 'postgres' : 'sqlite';
  const dialect = kind === 'postgres' ? postgresDialect(location) : sqliteDialect(location);
  const db = new Kysely<Schema>({ dialect });
  try {
    await migrate(db, kind);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  return { kind, db, close: () => db.destroy() };
}

function sqliteDialect(location: string): SqliteDialect {
  if (location !== ':memory:') mkdirSync(dirname(resolve(location)), { recursive: true, mode: 0o700 });
  const database = new Database(location, { timeout: busyStep });
  // An acknowledged write has to survive a power cut: https://www.sqlite.org/pragma.html#pragma_synchronous
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
  return new ImmediateSqliteDialect({
    database: database as never,
    async onCreateConnection(connection) {
      const execute = connection.executeQuery.bind(connection);
      connection.executeQuery = (query) => waitForLock(async () => execute(query));
    },
  });
}

/** How long another process may hold the lock, and how long this one stands still for it at a time, in milliseconds. */
const busyLimit = 5_000;
const busyStep = 20;

/** The driver is synchronous: waiting in it would stop this process, so it waits little, and the rest of the time here. */
async function waitForLock<T>(execute: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + busyLimit;
  for (;;) {
    try {
      return await execute();
    } catch (error) {
      const busy = /^SQLITE_(BUSY|LOCKED)/.test((error as { code?: string }).code ?? '');
      if (!busy || Date.now() > deadline) throw error;
      await delay(busyStep);
    }
  }
}

/** Takes the write lock at the start of a transaction, so that none fails halfway because another process writes. */
class ImmediateSqliteDialect extends SqliteDialect {
  readonly #config: ConstructorParameters<typeof SqliteDialect>[0];

  constructor(config: ConstructorParameters<typeof SqliteDialect>[0]) {
    super(config);
    this.#config = config;
  }

  override createDriver() {
    const driver = new SqliteDriver(this.#config);
    driver.beginTransaction = async (connection) => {
      await connection.executeQuery(CompiledQuery.raw('begin immediate'));
    };
    return driver;
  }
}

// https://github.com/brianc/node-pg-types: bigint arrives as text; times and counts stay below 2^53.
const types = {
  getTypeParser: ((oid: number, format?: 'text') =>
    oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format)) as never,
};

function postgresDialect(connectionString: string): PostgresDialect {
  // libpq's default, which this driver has only where the shell sets USER.
  pg.defaults.user ??= userInfo().username;
  const pool = new pg.Pool({ connectionString, types, max: 10, connectionTimeoutMillis: 5_000 });
  // A connection lost while idle must not end the process; the next query opens another.
  pool.on('error', () => undefined);
  return new PostgresDialect({ pool });
}
