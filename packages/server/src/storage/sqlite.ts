import { closeSync, fsyncSync, mkdirSync, openSync, realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type QueryResult,
  SqliteDialect,
  SqliteDriver,
} from 'kysely';
import type { Database } from 'libsql';
import { loadDriver } from './driver.ts';
import { failureOf } from './failure.ts';
import type { StatementConnection } from './statements.ts';

/** How long another process may hold the write lock, in milliseconds. */
const busyLimit = 5_000;

/** How long to wait for the lock of a server that is stopping, in milliseconds. */
const lockLimit = 2_000;

/** @throws Error if it is not a SQLite database, or cannot be read and written */
export async function openSqlite(location: string): Promise<Database> {
  const open = await loadSqlite();
  try {
    if (location !== ':memory:') createFile(location);
    const database = open(location, busyLimit);
    // An acknowledged write has to survive a power cut: https://www.sqlite.org/pragma.html#pragma_synchronous
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
    return database;
  } catch (cause) {
    throw new Error(
      `The database must be a SQLite file that this process may read and write: ${(cause as Error).message}`,
      { cause },
    );
  }
}

async function loadSqlite(): Promise<(path: string, timeout: number) => Database> {
  const { default: Libsql } = await loadDriver('SQLite', () => import('libsql'));
  return (path, timeout) => new Libsql(path, { timeout });
}

/**
 * Creates the file if it does not exist, readable by this user only; SQLite gives the files beside it the same mode.
 * An existing file is not opened: closing it would drop the locks that SQLite holds in this process.
 *
 * @returns Whether the file was created.
 */
export function createFile(location: string): boolean {
  mkdirSync(dirname(resolve(location)), { recursive: true, mode: 0o700 });
  try {
    closeSync(openSync(location, 'wx', 0o600));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  }
}

/** Waits until a file and its name in the folder would survive a power cut. Windows cannot do this for the name. */
export function sync(file: string): void {
  const paths = process.platform === 'win32' ? [file] : [file, dirname(resolve(file))];
  for (const path of paths) {
    const descriptor = openSync(path, process.platform === 'win32' ? 'r+' : 'r');
    fsyncSync(descriptor);
    closeSync(descriptor);
  }
}

/** @throws Error if another process has the database open. A damaged database may be replaced */
export async function requireUnused(location: string): Promise<void> {
  const open = await loadSqlite();
  const database = open(location, 0);
  try {
    // Works only if no other process has it open.
    database.exec('PRAGMA journal_mode = DELETE');
  } catch (cause) {
    if (failureOf(cause) !== 'busy') return;
    throw new Error(`The SQLite file ${location} is in use by another process: stop that process first`, {
      cause,
    });
  } finally {
    database.close();
  }
}

/**
 * Moves what is in the write-ahead log into the file and removes `-wal` and `-shm`, so that the file alone is the whole database.
 * While another process has it open, the log stays, but empty.
 */
export function finish(database: Database): void {
  for (const pragma of ['journal_mode = DELETE', 'wal_checkpoint(TRUNCATE)']) {
    try {
      database.exec(`PRAGMA busy_timeout = 0; PRAGMA ${pragma}`);
      return;
    } catch (error) {
      // Nothing is lost, because the next process that opens the file reads the log.
      if (!failureOf(error)) throw error;
    }
  }
}

/**
 * Takes the lock that a server holds on its file. It is an SQLite lock on a file beside it, and ends with the process,
 * even after a crash.
 *
 * @returns Function that releases it.
 * @throws Error if another server holds it
 */
export async function lockFile(location: string): Promise<() => void> {
  const path = `${realpathSync(location)}-lock`;
  const open = await loadSqlite();
  createFile(path);
  const database = open(path, 0);
  const deadline = Date.now() + lockLimit;
  for (;;) {
    try {
      database.exec('PRAGMA journal_mode = MEMORY; BEGIN IMMEDIATE');
      return () => void (database.open && database.close());
    } catch (error) {
      if (failureOf(error) === 'busy' && Date.now() < deadline) {
        await delay(50);
        continue;
      }
      database.close();
      if (failureOf(error) !== 'busy') throw error;
      throw new Error(
        `The SQLite file ${location} is in use by another Passage server: stop that server first, or use PostgreSQL to run several`,
      );
    }
  }
}

/** Takes the write lock before the first write, so that no transaction fails halfway because another process writes. */
export class ImmediateSqliteDialect extends SqliteDialect {
  readonly #database: Database;

  constructor(database: Database) {
    super({ database: database as never });
    this.#database = database;
  }

  override createDriver() {
    const database = this.#database;
    const driver = new SqliteDriver({ database: keepStatements(database) as never });
    driver.beginTransaction = () => begin(database);
    // SQLite may have rolled back by itself, as when the disk is full. A second rollback is an error, which would hide the first.
    driver.rollbackTransaction = async () => void (database.inTransaction && database.exec('ROLLBACK'));
    const acquire = driver.acquireConnection.bind(driver);
    driver.acquireConnection = async () => new PatientConnection(await acquire(), database);
    return driver;
  }
}

/**
 * Tables of rate limit counts and passkey ceremonies in progress. Their commits do not wait for the disk, so a power cut may lose the
 * latest ones. A crash of the process loses nothing. The next commit that waits writes them too.
 */
const changesPassing = /^(?:insert into|update|delete from) "(?:handshakes|limits)"/;

/** Runs writes outside transactions in one, so that they also wait for the lock without blocking the process. */
class PatientConnection implements StatementConnection {
  readonly #connection: DatabaseConnection;
  readonly #database: Database;

  constructor(connection: DatabaseConnection, database: Database) {
    this.#connection = connection;
    this.#database = database;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    if (!writes(query) || this.#database.inTransaction) return this.#connection.executeQuery<Row>(query);
    const [result] = await this.executeAll([query]);
    return result as QueryResult<Row>;
  }

  async executeAll(queries: readonly CompiledQuery[]): Promise<QueryResult<unknown>[]> {
    if (this.#database.inTransaction) return this.#run(queries);
    const passing = queries.every((query) => !writes(query) || changesPassing.test(query.sql));
    if (passing) this.#database.exec('PRAGMA synchronous = NORMAL');
    try {
      await begin(this.#database);
      const results = await this.#run(queries);
      this.#database.exec('COMMIT');
      return results;
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec('ROLLBACK');
      throw error;
    } finally {
      if (passing) this.#database.exec('PRAGMA synchronous = FULL');
    }
  }

  async defer(query: CompiledQuery): Promise<void> {
    await this.#connection.executeQuery(query);
  }

  async #run(queries: readonly CompiledQuery[]): Promise<QueryResult<unknown>[]> {
    const results = [];
    for (const query of queries) results.push(await this.#connection.executeQuery(query));
    return results;
  }

  streamQuery<Row>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<Row>> {
    return this.#connection.streamQuery<Row>(query, chunkSize);
  }
}

function writes({ query }: CompiledQuery): boolean {
  return /^(Insert|Update|Delete)QueryNode$/.test(query.kind);
}

/** Most prepared statements to keep. Filters of lists keep creating new ones. */
const statementLimit = 200;

/**
 * Prepares each statement once, because preparing takes longer than most queries. The only connection runs one query at a
 * time, so no statement is in use twice. Statements that change tables are not kept. Neither is one that failed, because
 * libsql may leave it open.
 */
function keepStatements(database: Database): Pick<Database, 'prepare' | 'close'> {
  const kept = new Map<string, object>();
  const prepare = (text: string) => {
    const statement = database.prepare(text);
    const mayKeep = /^\s*(?:select|insert|update|delete)\b/i.test(text);
    const keep = <Result>(result: Result): Result => {
      if (kept.size >= statementLimit) kept.clear();
      if (mayKeep) kept.set(text, own);
      return result;
    };
    const own = {
      reader: statement.reader,
      all: (parameters: readonly unknown[]) => keep(statement.all(parameters)),
      run: (parameters: readonly unknown[]) => keep(statement.run(parameters)),
      iterate: (parameters: readonly unknown[]) => statement.iterate(parameters),
    };
    return own;
  };
  return {
    close: () => database.close(),
    prepare(text: string) {
      const statement = kept.get(text) ?? prepare(text);
      kept.delete(text);
      return statement;
    },
  } as unknown as Pick<Database, 'prepare' | 'close'>;
}

/** Waits for the lock here, because the synchronous driver would block this process. */
async function begin(database: Database): Promise<void> {
  const deadline = Date.now() + busyLimit;
  for (;;) {
    try {
      // Not by a prepared statement: libsql leaves one that was busy open, and then cannot commit.
      database.exec('PRAGMA busy_timeout = 0; BEGIN IMMEDIATE');
      return;
    } catch (error) {
      if (failureOf(error) !== 'busy' || Date.now() > deadline) throw error;
    } finally {
      database.exec(`PRAGMA busy_timeout = ${busyLimit}`);
    }
    await delay(10);
  }
}
