import { closeSync, mkdirSync, openSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Kysely, PostgresDialect, SqliteDialect, SqliteDriver, type Transaction } from 'kysely';
import Database from 'libsql';
import pg from 'pg';
import { migrate } from './migrations.ts';
import type { DatabaseKind, Schema } from './schema.ts';

/** The database, or a transaction in it: queries take either. */
export type Queries = Kysely<Schema> | Transaction<Schema>;

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

/** How long another process may hold the write lock, in milliseconds. */
const busyLimit = 5_000;

function sqliteDialect(location: string): SqliteDialect {
  try {
    if (location !== ':memory:') createFile(location);
    const database = new Database(location, { timeout: busyLimit });
    // An acknowledged write has to survive a power cut: https://www.sqlite.org/pragma.html#pragma_synchronous
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
    return new ImmediateSqliteDialect(database);
  } catch (cause) {
    throw new Error(
      `The database must be a SQLite file that this process may read and write: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** Makes the file where there is none: for nobody else to read, which SQLite keeps for the files beside it. */
function createFile(location: string): void {
  mkdirSync(dirname(resolve(location)), { recursive: true, mode: 0o700 });
  closeSync(openSync(location, 'a', 0o600));
}

/** Takes the write lock at the start of a transaction, so that none fails halfway because another process writes. */
class ImmediateSqliteDialect extends SqliteDialect {
  readonly #database: Database.Database;

  constructor(database: Database.Database) {
    super({ database: database as never });
    this.#database = database;
  }

  override createDriver() {
    const driver = new SqliteDriver({ database: this.#database as never });
    driver.beginTransaction = () => begin(this.#database);
    return driver;
  }
}

/** The driver is synchronous: waiting for the lock in it would stop this process, so the wait is here. */
async function begin(database: Database.Database): Promise<void> {
  const deadline = Date.now() + busyLimit;
  for (;;) {
    try {
      // Not by a prepared statement: libsql leaves one that was busy open, and then cannot commit.
      database.exec('PRAGMA busy_timeout = 0; BEGIN IMMEDIATE');
      return;
    } catch (error) {
      const busy = /^SQLITE_(BUSY|LOCKED)/.test((error as { code?: string }).code ?? '');
      if (!busy || Date.now() > deadline) throw error;
    } finally {
      database.exec(`PRAGMA busy_timeout = ${busyLimit}`);
    }
    await delay(10);
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
  // Nor one lost while in use, between two queries: the pool listens to idle ones only.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return new PostgresDialect({ pool });
}
