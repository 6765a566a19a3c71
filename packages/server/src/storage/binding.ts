import { timingSafeEqual } from 'node:crypto';
import type { Queries } from './database.ts';
import type { Secrets } from './secrets.ts';

/**
 * Checks that the database belongs to this secret, and binds a new database to it.
 *
 * @throws Error if the database was created with a different secret; it is not changed then
 */
export async function requireSecret(queries: Queries, secrets: Secrets): Promise<void> {
  const own = { name: 'secret', value: secrets.hash('mark') };
  await queries
    .insertInto('meta')
    .values(own)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await checkSecret(queries, secrets);
}

/** @throws Error if the database is bound to a different secret */
export async function checkSecret(queries: Queries, secrets: Secrets): Promise<void> {
  const row = await queries
    .selectFrom('meta')
    .select('value')
    .where('name', '=', 'secret')
    .executeTakeFirstOrThrow();
  const [known, given] = [Buffer.from(row.value), Buffer.from(secrets.hash('mark'))];
  if (known.length !== given.length || !timingSafeEqual(known, given)) {
    throw new Error('The database was created with a different secret: use that secret');
  }
}

/** Binds the database to a different secret. */
export async function bindSecret(queries: Queries, secrets: Secrets): Promise<void> {
  await queries
    .updateTable('meta')
    .set({ value: secrets.hash('mark') })
    .where('name', '=', 'secret')
    .execute();
}
