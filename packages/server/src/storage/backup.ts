import { closeSync, openSync, realpathSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type Kysely, sql } from 'kysely';
import type { DatabaseKind, Schema } from './schema.ts';

/**
 * Copies a SQLite database, which may be in use, to a new file that only this user can read.
 *
 * @throws TypeError for PostgreSQL, which has `pg_dump`
 * @throws Error if the file exists or cannot be written
 */
export async function backUp(
  storage: { kind: DatabaseKind; db: Kysely<Schema> },
  file: string,
): Promise<void> {
  const { kind, db } = storage;
  if (kind === 'postgres') throw new TypeError('PostgreSQL is backed up with pg_dump');
  await requireApart(db, file);
  create(file);
  try {
    await sql`vacuum into ${file}`.execute(db);
  } catch (error) {
    rmSync(file);
    throw error;
  }
}

/** SQLite writes into an empty file. */
function create(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new Error(
      code === 'EEXIST'
        ? `The file ${file} exists: a backup does not overwrite files, so use another name`
        : `The backup must be a new file that this process may write: ${message}`,
      { cause },
    );
  }
}

/** SQLite would use files of these names beside the database. */
async function requireApart(db: Kysely<Schema>, file: string): Promise<void> {
  const { rows } = await sql<{ file: string | null }>`select file from pragma_database_list`.execute(db);
  const database = rows[0]?.file;
  const [, name] = /^(.*)-(?:wal|shm|journal|lock)$/.exec(basename(file)) ?? [];
  if (!database || !name) return;
  if (join(realpathSync(dirname(resolve(file))), name) === realpathSync(database)) {
    throw new Error(`The file ${file} belongs to the database: use another name for the backup`);
  }
}
