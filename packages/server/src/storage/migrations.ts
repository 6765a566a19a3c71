import { createHash } from 'node:crypto';
import { type Kysely, sql, type Transaction } from 'kysely';
import tables from './migrations/0001-tables.sql?raw';
import accounts from './migrations/0002-accounts.sql?raw';
import proof from './migrations/0003-proof.sql?raw';
import schedule from './migrations/0004-schedule.sql?raw';
import endings from './migrations/0005-endings.sql?raw';
import audit from './migrations/0006-audit.sql?raw';
import webhooks from './migrations/0007-webhooks.sql?raw';
import outbox from './migrations/0008-outbox.sql?raw';
import type { DatabaseKind, Schema } from './schema.ts';

interface Migration {
  /** Identifies the migration in databases, so it stays as it is. */
  readonly name: string;
  /** SQL that both databases understand. Each statement ends in a semicolon at the end of a line. */
  readonly text: string;
}

/**
 * In the order in which they run; add new ones at the end. Forward only, and never edited once released: a changed
 * migration is refused at startup.
 */
const migrations: readonly Migration[] = [
  { name: '0001-tables', text: tables },
  { name: '0002-accounts', text: accounts },
  { name: '0003-proof', text: proof },
  { name: '0004-schedule', text: schedule },
  { name: '0005-endings', text: endings },
  { name: '0006-audit', text: audit },
  { name: '0007-webhooks', text: webhooks },
  { name: '0008-outbox', text: outbox },
];

/** Checksum of the first migration while migrations had numbers, and checksums of what Kysely compiled. */
const compiledTables = 'f09cd13c5e35c7177f32a0ae719fea4dd627e1f90b96483c6fdae457271a7015';

/**
 * Brings the tables up to date, each migration in one transaction. Safe when several processes start at once.
 *
 * @throws Error if a newer version created the database, or a released migration was changed; the tables stay as they are
 */
export async function migrate(db: Kysely<Schema>, kind: DatabaseKind): Promise<void> {
  await exclusively(db, kind, async (trx) => {
    await nameMigrations(trx, kind);
    await createTable(trx);
    await check(trx);
  });
  for (const migration of migrations) await exclusively(db, kind, (trx) => apply(trx, migration));
}

/** Statements that create the tables of this version. */
let tablesOfMemory: string[] | undefined;

/**
 * Creates the tables of a database in memory. The first one of a process is migrated, the others are created like it, in a third of
 * the time: SQLite reads all tables again for each one that a migration alters.
 */
export async function migrateMemory(db: Kysely<Schema>): Promise<void> {
  if (tablesOfMemory) return copyTables(db, tablesOfMemory);
  await migrate(db, 'sqlite');
  const { rows } = await sql<{ sql: string }>`select sql from sqlite_schema where sql is not null`.execute(
    db,
  );
  tablesOfMemory = rows.map((row) => row.sql);
}

function copyTables(db: Kysely<Schema>, statements: readonly string[]): Promise<void> {
  return exclusively(db, 'sqlite', async (trx) => {
    for (const statement of statements) await sql.raw(statement).execute(trx);
    for (const migration of migrations) await record(trx, migration);
  });
}

/** A second process waits and then finds no migration to run: SQLite takes its lock at the start of every transaction. */
function exclusively(
  db: Kysely<Schema>,
  kind: DatabaseKind,
  work: (trx: Transaction<Schema>) => Promise<void>,
): Promise<void> {
  return db.transaction().execute(async (trx) => {
    if (kind === 'postgres') await sql`select pg_advisory_xact_lock(7274696512)`.execute(trx);
    await work(trx);
  });
}

async function check(trx: Transaction<Schema>): Promise<void> {
  const applied = await sql<{
    name: string;
    checksum: string;
  }>`select name, checksum from migrations`.execute(trx);
  for (const { name, checksum } of applied.rows) {
    const migration = migrations.find((known) => known.name === name);
    if (!migration) {
      throw new Error(
        `The database was created by a newer version of @passage-auth/server: this version does not know its migration ${name}`,
      );
    }
    if (checksum !== checksumOf(migration)) {
      throw new Error(`Migration ${name} of the database differs from this version's`);
    }
  }
}

async function apply(trx: Transaction<Schema>, migration: Migration): Promise<void> {
  const { name, text } = migration;
  const applied = await sql`select 1 from migrations where name = ${name}`.execute(trx);
  if (applied.rows.length > 0) return;
  // SQLite prepares one statement at a time.
  const statements = text.split(/;\s*$/m).filter((statement) => statement.trim() !== '');
  for (const statement of statements) await sql.raw(statement).execute(trx);
  await record(trx, migration);
}

/** Returns the migrations that an existing database lacks: none for a new one. */
export async function listPending(db: Kysely<Schema>, kind: DatabaseKind): Promise<string[]> {
  const columns = await listColumns(db, kind);
  if (columns.length === 0) return [];
  if (columns.includes('id')) return migrations.map(({ name }) => name);
  const { rows } = await sql<{ name: string }>`select name from migrations`.execute(db);
  const applied = new Set(rows.map(({ name }) => name));
  return migrations.map(({ name }) => name).filter((name) => !applied.has(name));
}

/** Names the migration of a database from the time when migrations had numbers. */
async function nameMigrations(trx: Transaction<Schema>, kind: DatabaseKind): Promise<void> {
  if (!(await listColumns(trx, kind)).includes('id')) return;
  const { rows } = await sql<{ checksum: string }>`select checksum from migrations`.execute(trx);
  if (rows.some(({ checksum }) => checksum !== compiledTables)) {
    throw new Error("The migrations of the database differ from this version's");
  }
  await sql`drop table migrations`.execute(trx);
  await createTable(trx);
  if (rows.length > 0) await record(trx, { name: '0001-tables', text: tables });
}

/** Columns of the table of migrations: none before it is created. */
async function listColumns(db: Kysely<Schema>, kind: DatabaseKind): Promise<string[]> {
  const query =
    kind === 'postgres'
      ? sql<{ name: string }>`select attname as name from pg_attribute
          where attrelid = to_regclass('migrations') and attnum > 0 and not attisdropped`
      : sql<{ name: string }>`select name from pragma_table_info('migrations')`;
  const { rows } = await query.execute(db);
  return rows.map(({ name }) => name);
}

async function createTable(trx: Transaction<Schema>): Promise<void> {
  await sql`create table if not exists migrations (name text not null primary key, checksum text not null)`.execute(
    trx,
  );
}

async function record(trx: Transaction<Schema>, migration: Migration): Promise<void> {
  const values = sql`${migration.name}, ${checksumOf(migration)}`;
  await sql`insert into migrations (name, checksum) values (${values})`.execute(trx);
}

/** Of the text with the repository's line endings: checkouts on Windows may have others. */
function checksumOf({ text }: Migration): string {
  return createHash('sha256').update(text.replaceAll('\r\n', '\n')).digest('hex');
}
