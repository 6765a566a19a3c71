import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Kysely, type Transaction, type TransactionBuilder } from 'kysely';
import { backUp } from './backup.ts';
import { type Failure, failureOf } from './failure.ts';
import { GroupedDialect } from './group.ts';
import { isPostgres } from './location.ts';
import { listPending, migrate, migrateMemory } from './migrations.ts';
import { connectPostgres, requireConnection } from './postgres.ts';
import type { DatabaseKind, Schema } from './schema.ts';
import { lockFile, openSqlite } from './sqlite.ts';
import { onlyTurn, postgresTurn, type Turn } from './turn.ts';

/** The database, or a transaction in it: queries take either. */
export type Queries = Kysely<Schema> | Transaction<Schema>;

export interface Storage {
  readonly kind: DatabaseKind;
  readonly db: Kysely<Schema>;
  /** The right to do the scheduled work. */
  readonly turn: Turn;
  /** Closes the database. A SQLite database is then one file, with no files beside it. */
  close(): Promise<void>;
}

/** `serve` locks a SQLite file for one server. `visit` is for work beside a server. */
export type Use = 'serve' | 'visit';

/**
 * Opens the database and brings its tables up to date.
 *
 * @param location SQLite file, `:memory:`, or a `postgres://` URL.
 * @throws Error if it cannot be opened, another server uses the file, or a newer version created it
 */
export function openStorage(location: string, use: Use = 'visit'): Promise<Storage> {
  return isPostgres(location) ? openPostgres(location, use) : openFile(location, use);
}

async function openPostgres(location: string, use: Use): Promise<Storage> {
  const { dialect, limitSilence } = await connectPostgres(location);
  const db = new Repeating({ dialect });
  try {
    await requireConnection(db, location);
    await migrate(db, 'postgres');
    // Statements of commands may take long, as in migrations.
    if (use === 'serve') limitSilence();
    const turn = postgresTurn(db);
    const close = async () => {
      await turn.release();
      await db.destroy();
    };
    return { kind: 'postgres', db, turn, close };
  } catch (error) {
    await db.destroy();
    throw error;
  }
}

async function openFile(location: string, use: Use): Promise<Storage> {
  const database = await openSqlite(location);
  const db = new Repeating({ dialect: new GroupedDialect(database) });
  let unlock = () => {};
  const close = async () => {
    try {
      await db.destroy();
    } finally {
      unlock();
    }
  };
  const onDisk = location !== ':memory:';
  try {
    // A visitor, too, may only change tables that no server is using.
    const alone = use === 'serve' || (await listPending(db, 'sqlite')).length > 0;
    if (onDisk && alone) unlock = await lockFile(location);
    if (onDisk) await copyBefore(db, location, () => migrate(db, 'sqlite'));
    else await migrateMemory(db);
    if (use === 'visit') unlock();
    return { kind: 'sqlite', db, turn: onlyTurn, close };
  } catch (error) {
    // The first error explains why it cannot close cleanly.
    await close().catch(() => undefined);
    throw error;
  }
}

/** Copies the file before a migration. If nothing was migrated after a failure, the copy is removed. */
async function copyBefore(db: Kysely<Schema>, location: string, work: () => Promise<void>): Promise<void> {
  const pending = await listPending(db, 'sqlite');
  if (pending.length === 0) return work();
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const copy = `${location}.before-${pending.at(-1)}.${time}`;
  await backUp({ kind: 'sqlite', db }, copy);
  try {
    await work();
  } catch (error) {
    if ((await listPending(db, 'sqlite')).length === pending.length) rmSync(copy);
    throw error;
  }
}

const followers = new WeakMap<Queries, (() => void)[]>();

/** Calls a function after the transaction commits, or at once outside a transaction. After a rollback, it is not called. */
export function afterCommit(queries: Queries, action: () => void): void {
  if (queries.isTransaction) followers.set(queries, [...(followers.get(queries) ?? []), action]);
  else action();
}

/** Failures that another attempt may not meet. */
const passing: readonly Failure[] = ['conflict', 'duplicate', 'unprepared'];

/** How often an aborted transaction is tried. */
const attempts = 3;

/**
 * Retries transactions that the database aborted because of others, or that found a row which another had just
 * inserted. They left no changes, and the next attempt finds that row. Everything else that a transaction does
 * must therefore be repeatable.
 */
class Repeating extends Kysely<Schema> {
  override transaction(): TransactionBuilder<Schema> {
    const builder = super.transaction();
    const execute = builder.execute.bind(builder);
    builder.execute = async (work) => {
      for (let attempt = 1; ; attempt++) {
        try {
          const { result, actions } = await execute(async (trx) => ({
            result: await work(trx),
            actions: followers.get(trx) ?? [],
          }));
          for (const action of actions) action();
          return result;
        } catch (error) {
          const failure = failureOf(error);
          if (!failure || !passing.includes(failure) || attempt === attempts) throw error;
          // Without a pause, this could take the lock back before the transaction that waits for it wakes up.
          if (failure === 'conflict') await delay(10 + 20 * Math.random());
        }
      }
    };
    return builder;
  }
}
