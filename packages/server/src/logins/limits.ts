import { sql } from 'kysely';
import { WireError } from '../errors.ts';
import type { Service } from '../service.ts';

/** How often something may be done. `window` is in seconds. */
export interface RateLimit {
  count: number;
  window: number;
}

/** Limits, each counted in the database, so that neither a restart nor a second process resets them. */
export interface RateLimits {
  /** Codes and links sent to one address of an app. */
  messagesPerAddress: RateLimit;
  /** Codes and links asked for from one IP address (of IPv6: one /64). */
  messagesPerIp: RateLimit;
  /** Wrong codes typed for one address. */
  wrongCodesPerAddress: RateLimit;
  /** Wrong codes, links and refresh tokens tried from one IP address. */
  failuresPerIp: RateLimit;
  /** Passkey ceremonies, look-ups and sign-ups begun from one IP address. */
  startsPerIp: RateLimit;
  /** Codes and links sent by one app. */
  messagesPerApp: RateLimit;
}

export const rateLimits: RateLimits = {
  messagesPerAddress: { count: 5, window: 3_600 },
  messagesPerIp: { count: 10, window: 3_600 },
  wrongCodesPerAddress: { count: 15, window: 3_600 },
  failuresPerIp: { count: 60, window: 600 },
  startsPerIp: { count: 240, window: 60 },
  messagesPerApp: { count: 5_000, window: 3_600 },
};

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
  if (row.count > rule.count) refuse(row.resets_at - now);
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
  if (row && row.resets_at > now && row.count >= rule.count) refuse(row.resets_at - now);
}

function refuse(milliseconds: number): never {
  throw new WireError('too_many_requests', undefined, {
    retryAfter: Math.max(1, Math.ceil(milliseconds / 1000)),
  });
}
