import { timingSafeEqual } from 'node:crypto';
import type { Secrets } from '../secrets.ts';
import type { Queries } from './database.ts';

/**
 * Checks that the database belongs to this secret, and binds a new database to it.
 *
 * @throws Error when it was made with another secret; nothing is changed then
 */
export async function requireSecret(queries: Queries, secrets: Secrets): Promise<void> {
  const mark = secrets.hash('api key', 'mark of the secret');
  await queries
    .insertInto('meta')
    .values({ name: 'secret', value: mark })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const row = await queries
    .selectFrom('meta')
    .select('value')
    .where('name', '=', 'secret')
    .executeTakeFirstOrThrow();
  const [known, own] = [Buffer.from(row.value), Buffer.from(mark)];
  if (known.length !== own.length || !timingSafeEqual(known, own)) {
    throw new Error('The database was made with another secret: start with that one');
  }
}
