import { closeSync, fsyncSync, mkdirSync, openSync, realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from 'libsql';
import { loadDriver } from './driver.ts';
import { failureOf } from './failure.ts';

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

/** Begins a transaction. Waits for the lock here, because the synchronous driver would block this process. */
export async function begin(database: Database): Promise<void> {
  const deadline = Date.now() + busyLimit;
  for (;;) {
    try {
      // The write lock at once, so that no transaction fails halfway because another process writes. Not by a prepared statement:
      // libsql leaves one that was busy open, and then cannot commit.
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
