import { setImmediate } from 'node:timers/promises';
import { type Expression, type ExpressionBuilder, type Kysely, type SqlBool, sql } from 'kysely';
import { bindSecret } from './binding.ts';
import type { Queries, Storage } from './database.ts';
import type { Schema } from './schema.ts';
import type { Secrets } from './secrets.ts';

/** Deletes everything that may have been used since a backup was taken. */
export async function voidSecrets(queries: Queries): Promise<void> {
  for (const table of ['sessions', 'handshakes', 'codes', 'links', 'outbox'] as const)
    await queries.deleteFrom(table).execute();
}

/** Signing keys, which are encrypted with the secret. */
interface SealedKeys {
  reseal(queries: Queries, next: Secrets): Promise<number>;
}

/**
 * Encrypts the signing keys with another secret. Sessions, codes and links are hashed with the old one and end with it; API keys stay.
 *
 * @returns Number of signing keys.
 */
export async function changeSecret(trx: Queries, keys: SealedKeys, next: Secrets): Promise<number> {
  const count = await keys.reseal(trx, next);
  await voidSecrets(trx);
  await trx.deleteFrom('limits').execute();
  await bindSecret(trx, next);
  return count;
}

/** How long events are kept: 90 days, in milliseconds. */
const eventLifetime = 90 * 86_400_000;

/** How long a sign-up may stay unfinished: 30 days, in milliseconds. */
const signupLifetime = 30 * 86_400_000;

/** Rows that one statement deletes, so that no lock is held for long and requests run in between. */
const batchSize = 1_000;

/** Tables whose rows expire, each with its key and the column of the time. */
const expiring = [
  ['handshakes', 'id_hash', 'expires_at'],
  ['codes', 'id_hash', 'expires_at'],
  ['links', 'id_hash', 'expires_at'],
  ['sessions', 'id', 'expires_at'],
  ['limits', 'id', 'resets_at'],
  ['outbox', 'id', 'expires_at'],
] as const;

/** Queries of tables whose names are values. */
type AnyTable = Kysely<Record<string, Record<string, string | number>>>;

/**
 * Deletes what has expired.
 *
 * @param signal Stops the work between two batches. The next run deletes the rest.
 */
export async function sweep(queries: Queries, now: number, signal?: AbortSignal): Promise<void> {
  // Used handshakes have a negative time.
  for (const [table, key, time] of expiring)
    await deleteBetween(queries, table, key, time, -now, now, signal);
  await deleteBetween(queries, 'events', 'id', 'created_at', 0, now - eventLifetime, signal);
  await queries.deleteFrom('signing_keys').where('retires_at', '<=', now).execute();
}

function deleteBetween(
  queries: Queries,
  table: string,
  key: string,
  time: string,
  from: number,
  until: number,
  signal: AbortSignal | undefined,
  only: Record<string, string> = {},
): Promise<number> {
  const any = queries as unknown as AnyTable;
  const rows = any
    .selectFrom(table)
    .select(key)
    .where(time, '>=', from)
    .where(time, '<=', until)
    .where((where) => where.and(only))
    .limit(batchSize);
  const deletion = any.deleteFrom(table).where(key, 'in', rows);
  return inBatches(() => deletion.executeTakeFirst(), signal);
}

/**
 * Deletes users of unfinished sign-ups: they have proven no address, have no passkey, and nothing of theirs is
 * pending. Users that a back end or an import created or changed stay.
 *
 * @param note Called in the deleting transaction, with the app and its number of deleted users.
 * @returns Number of deleted users.
 */
export async function deleteUnfinishedSignups(
  db: Kysely<Schema>,
  now: number,
  signal: AbortSignal,
  note: (trx: Queries, appId: string, users: number) => Promise<unknown>,
): Promise<number> {
  const apps = await db.selectFrom('apps').select('id').execute();
  let count = 0;
  for (const { id } of apps) {
    const deleteBatch = () =>
      db.transaction().execute(async (trx) => {
        const deletion = trx
          .deleteFrom('users')
          .where('app_id', '=', id)
          .where('id', 'in', unfinishedSignups(trx, id, now))
          // PostgreSQL checks only these again if it had to wait for somebody who changed the user.
          .where((user) => isUnfinished(user, now));
        const deleted = await deletion.executeTakeFirst();
        const users = Number(deleted.numDeletedRows);
        if (users > 0) await note(trx, id, users);
        return deleted;
      });
    count += await inBatches(deleteBatch, signal);
  }
  return count;
}

function isUnfinished(user: ExpressionBuilder<Schema, 'users'>, now: number): Expression<SqlBool> {
  const until = now - signupLifetime;
  return user.and([
    user('status', '=', 'pending'),
    user('created_at', '<=', until),
    user('updated_at', '<=', until),
    user('origin', '=', 'signup'),
    user('login_count', '=', 0),
    user('external_id', '=', ''),
    user('email_verified', '=', 0),
    user('phone_verified', '=', 0),
    user('email_proven_at', 'is', null),
    user('phone_proven_at', 'is', null),
  ]);
}

function unfinishedSignups(queries: Queries, appId: string, now: number) {
  const without = (['devices', 'sessions', 'codes', 'links', 'handshakes'] as const).map((table) => {
    const rows = (queries as unknown as AnyTable).selectFrom(table).select('user_id');
    const own = rows
      .whereRef(`${table}.app_id`, '=', 'users.app_id')
      .whereRef(`${table}.user_id`, '=', 'users.id');
    // What has expired may not have been deleted yet.
    return table === 'devices' ? own : own.where('expires_at', '>', now);
  });
  return queries
    .selectFrom('users')
    .select('id')
    .where('app_id', '=', appId)
    .where((user) => isUnfinished(user, now))
    .where((where) => where.and(without.map((rows) => where.not(where.exists(rows)))))
    .limit(batchSize);
}

/** Deletes in batches until a batch is not full. */
async function inBatches(
  deleteBatch: () => Promise<{ numDeletedRows: bigint }>,
  signal: AbortSignal | undefined,
): Promise<number> {
  let count = 0;
  for (;;) {
    const deleted = Number((await deleteBatch()).numDeletedRows);
    count += deleted;
    if (deleted < batchSize || signal?.aborted) return count;
    // SQLite runs in this thread: this lets requests run in between.
    await setImmediate();
  }
}

/** How long sent events of the webhook are kept: 7 days, in milliseconds. */
const sentLifetime = 7 * 86_400_000;
/** How long failed events, and events that are no longer sent, are kept: 30 days, in milliseconds. */
const unsentLifetime = 30 * 86_400_000;

/** Deletes old events of the webhook. */
export async function sweepWebhooks(queries: Queries, now: number, signal?: AbortSignal): Promise<void> {
  await deleteBetween(queries, 'webhooks', 'id', 'done_at', 0, now - sentLifetime, signal, { state: 'sent' });
  await deleteBetween(queries, 'webhooks', 'id', 'expires_at', 0, now - unsentLifetime, signal);
}

/** Deletes entries of the audit log that are older than a number of days. */
export async function sweepAudit(
  queries: Queries,
  now: number,
  days: number,
  signal?: AbortSignal,
): Promise<void> {
  await deleteBetween(queries, 'audit', 'id', 'created_at', 0, now - days * 86_400_000, signal);
}

/**
 * Updates PostgreSQL's statistics of the user tables. An import begins with empty tables, and plans made for those
 * scan the full ones.
 */
export async function noteGrowth({ kind, db }: Storage): Promise<void> {
  if (kind === 'postgres') await sql`analyze users, devices`.execute(db);
}
