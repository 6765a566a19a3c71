import { chmodSync, copyFileSync, existsSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { Kysely, sql } from 'kysely';
import { checkSecret } from './binding.ts';
import type { Queries } from './database.ts';
import { GroupedDialect } from './group.ts';
import { isPostgres } from './location.ts';
import { voidSecrets } from './maintenance.ts';
import { migrate } from './migrations.ts';
import type { Schema } from './schema.ts';
import type { Secrets } from './secrets.ts';
import { createFile, lockFile, openSqlite, requireUnused, sync } from './sqlite.ts';

/** What a restored database holds. */
export interface Restored {
  apps: number;
  users: number;
  passkeys: number;
  /** Time of the newest event, if there is one. */
  newestEvent: Date | undefined;
  /** Path of the replaced database, if there was one. */
  replaced: string | undefined;
}

/**
 * Replaces a SQLite database with a backup. The backup is first copied, checked and migrated. Sessions, codes, links and
 * ceremonies in it end, because they may have been used since. The replaced database is kept beside the new one.
 *
 * @param backup File created by `backUp`, or a copy of a database, together with its `-wal` if it has one. It is not changed.
 * @param finishing Writes further rows to the restored database before it replaces the other.
 * @throws TypeError for PostgreSQL, which has `pg_restore`
 * @throws Error if a server runs, or the backup is damaged or belongs to a newer version or a different secret; nothing changes then
 */
export async function restore(
  backup: string,
  location: string,
  secrets: Secrets,
  finishing: (queries: Queries) => Promise<void> = async () => {},
): Promise<Restored> {
  if (isPostgres(location)) throw new TypeError('PostgreSQL is restored with pg_restore or psql');
  requireBackup(backup, location);
  const made = createFile(location);
  const file = realpathSync(location);
  const copy = `${file}.restoring`;
  const unlock = await lockFile(file);
  try {
    await requireUnused(file);
    copyDatabase(backup, copy);
    const held = await prepare(copy, secrets, finishing).catch((cause: Error) => {
      throw new Error(`The backup ${backup} cannot be restored: ${cause.message}`, { cause });
    });
    const replaced = made ? undefined : `${file}.replaced.${new Date().toISOString().replace(/[-:.]/g, '')}`;
    if (replaced) copyDatabase(file, replaced);
    remove(file, beside);
    renameSync(copy, file);
    sync(file);
    return { ...held, replaced };
  } catch (error) {
    if (made) remove(file, ['', ...beside]);
    throw error;
  } finally {
    remove(copy, ['', ...beside]);
    unlock();
  }
}

/** Files that SQLite may create beside a database. */
const beside = ['-wal', '-shm', '-journal'];

function remove(file: string, suffixes: readonly string[]): void {
  for (const suffix of suffixes) rmSync(file + suffix, { force: true });
}

function requireBackup(backup: string, location: string): void {
  const file = statSync(backup, { throwIfNoEntry: false });
  if (!file?.isFile()) throw new Error(`The backup ${backup} must be a file`);
  const present = statSync(location, { throwIfNoEntry: false });
  if (present?.ino === file.ino && present.dev === file.dev) {
    throw new Error(`The backup ${backup} is the database itself: use a copy of it`);
  }
}

/** Copies the file, with the writes that are still in its log. */
function copyDatabase(from: string, to: string): void {
  for (const suffix of ['', '-wal', '-journal']) {
    rmSync(to + suffix, { force: true });
    if (!existsSync(from + suffix)) continue;
    copyFileSync(from + suffix, to + suffix);
    chmodSync(to + suffix, 0o600);
  }
  sync(to);
}

/** Checks a copy and prepares it for use. */
async function prepare(
  copy: string,
  secrets: Secrets,
  finishing: (queries: Queries) => Promise<void>,
): Promise<Omit<Restored, 'replaced'>> {
  const database = await openSqlite(copy);
  const db = new Kysely<Schema>({ dialect: new GroupedDialect(database) });
  try {
    await requireWhole(db);
    await checkSecret(db, secrets);
    await migrate(db, 'sqlite');
    await voidSecrets(db);
    await finishing(db);
    const held = await count(db);
    await db.destroy();
    return held;
  } catch (error) {
    // The first error explains why it cannot close cleanly.
    await db.destroy().catch(() => undefined);
    throw error;
  }
}

/** @throws Error if pages are damaged, rows are missing, or other tables are in it */
async function requireWhole(db: Kysely<Schema>): Promise<void> {
  const pages = await sql<{ integrity_check: string }>`pragma integrity_check`.execute(db);
  if (pages.rows[0]?.integrity_check !== 'ok') throw new Error('it is damaged');
  const orphans = await sql`pragma foreign_key_check`.execute(db);
  if (orphans.rows.length > 0) throw new Error('rows are missing in it');
  const tables = await sql`select 1 from sqlite_master where name in ('meta', 'migrations')`.execute(db);
  if (tables.rows.length < 2) throw new Error('it is not a database of a Passage server');
}

async function count(db: Kysely<Schema>): Promise<Omit<Restored, 'replaced'>> {
  const numbers = await db
    .selectNoFrom(({ selectFrom }) => [
      selectFrom('apps')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .as('apps'),
      selectFrom('users')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .as('users'),
      selectFrom('devices')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .as('passkeys'),
      selectFrom('events')
        .select(({ fn }) => fn.max('created_at').as('newest'))
        .as('newest'),
    ])
    .executeTakeFirstOrThrow();
  return {
    apps: Number(numbers.apps),
    users: Number(numbers.users),
    passkeys: Number(numbers.passkeys),
    newestEvent: numbers.newest === null ? undefined : new Date(numbers.newest),
  };
}
