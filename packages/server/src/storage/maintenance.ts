import { sql } from 'kysely';
import { bindSecret } from './binding.ts';
import type { Queries, Storage } from './database.ts';
import type { Secrets } from './secrets.ts';

/** Makes everything void that may have been used since a backup was taken. */
export async function voidSecrets(queries: Queries): Promise<void> {
  for (const table of ['sessions', 'handshakes', 'codes', 'links'] as const)
    await queries.deleteFrom(table).execute();
}

/** Signing keys, which lie sealed with the secret. */
interface SealedKeys {
  reseal(queries: Queries, next: Secrets): Promise<number>;
}

/**
 * Encrypts the signing keys with another secret. Sessions, codes and links are hashed with the old one and end with it; API keys stay.
 *
 * @returns Number of signing keys.
 */
export async function changeSecret(storage: Storage, keys: SealedKeys, next: Secrets): Promise<number> {
  return storage.db.transaction().execute(async (trx) => {
    const count = await keys.reseal(trx, next);
    await voidSecrets(trx);
    await trx.deleteFrom('limits').execute();
    await bindSecret(trx, next);
    return count;
  });
}

/** How long events are kept: 90 days, in milliseconds. */
const eventLifetime = 90 * 86_400_000;

/** Deletes what has expired. */
export async function sweep(queries: Queries, now: number): Promise<void> {
  // Used ones have the time below zero.
  await queries
    .deleteFrom('handshakes')
    .where('expires_at', '<=', now)
    .where('expires_at', '>=', -now)
    .execute();
  await queries.deleteFrom('codes').where('expires_at', '<=', now).execute();
  await queries.deleteFrom('links').where('expires_at', '<=', now).execute();
  await queries.deleteFrom('sessions').where('expires_at', '<=', now).execute();
  await queries.deleteFrom('limits').where('resets_at', '<=', now).execute();
  await queries.deleteFrom('signing_keys').where('retires_at', '<=', now).execute();
  await queries
    .deleteFrom('events')
    .where('created_at', '<=', now - eventLifetime)
    .execute();
}

/**
 * Has PostgreSQL look at the tables of users again. An import begins with empty ones, and what was planned for those reads them from one
 * end to the other once they are full.
 */
export async function noteGrowth({ kind, db }: Storage): Promise<void> {
  if (kind === 'postgres') await sql`analyze users, devices`.execute(db);
}
