import { sql } from 'kysely';
import { WireError } from '../errors.ts';
import type { RateLimits } from '../options.ts';
import type { Service } from '../service.ts';

/**
 * Counts one more, and refuses when that is one too many.
 *
 * @param subject What is counted; `undefined` (an IP address that is not known) counts nothing.
 * @throws {@link WireError} `too_many_requests`
 */
export async function countUp(
  service: Service,
  limit: keyof RateLimits,
  appId: string,
  subject: string | undefined,
): Promise<void> {
  const rule = service.options.rateLimits?.[limit];
  if (!rule || subject === undefined) return;
  const now = service.clock();
  const id = service.secrets.hash('limit', limit, appId, subject);
  const row = await service.db
    .insertInto('limits')
    .values({ id, count: 1, resets_at: now + rule.window * 1000 })
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet({
        count: sql<number>`case when limits.resets_at <= ${now} then 1 else limits.count + 1 end`,
        resets_at: sql<number>`case when limits.resets_at <= ${now} then excluded.resets_at else limits.resets_at end`,
      }),
    )
    .returning(['count', 'resets_at'])
    .executeTakeFirstOrThrow();
  if (row.count > rule.count) exceed(row.resets_at - now);
}

/** Refuses when the count is used up, without counting. */
export async function checkLimit(
  service: Service,
  limit: keyof RateLimits,
  appId: string,
  subject: string | undefined,
): Promise<void> {
  const rule = service.options.rateLimits?.[limit];
  if (!rule || subject === undefined) return;
  const now = service.clock();
  const row = await service.db
    .selectFrom('limits')
    .select(['count', 'resets_at'])
    .where('id', '=', service.secrets.hash('limit', limit, appId, subject))
    .executeTakeFirst();
  if (row && row.resets_at > now && row.count >= rule.count) exceed(row.resets_at - now);
}

function exceed(milliseconds: number): never {
  throw new WireError('too_many_requests', undefined, {
    retryAfter: Math.max(1, Math.ceil(milliseconds / 1000)),
  });
}
