import { sql } from 'kysely';
import { WireError } from '../errors.ts';
import { report } from '../events/record.ts';
import type { RateLimit, RateLimits } from '../options.ts';
import type { Service } from '../service.ts';

/** Who is counted, for the warning that a limit is reached. */
interface Suspect {
  ip?: string | undefined;
  user?: string | null | undefined;
}

/** One row of the table: limits by IP have a second one for the site of an IPv6 network. */
interface Counter {
  id: string;
  rule: RateLimit;
}

/**
 * Counts one more, and throws if the limit is exceeded.
 *
 * @param subject What is counted. An unknown IP address (`undefined`) is not counted. For limits by IP it is the network.
 * @throws {@link WireError} `too_many_requests`
 */
export async function countUp(
  service: Service,
  limit: keyof RateLimits,
  appId: string,
  subject: string | undefined,
  suspect: Suspect = {},
): Promise<void> {
  for (const counter of countersOf(service, limit, appId, subject)) {
    const { count, wait } = await increment(service, counter);
    const ip = limit.endsWith('PerIp') ? subject : suspect.ip;
    if (count === counter.rule.count)
      report(service, {
        type: 'limit.reached',
        appId,
        userId: suspect.user ?? undefined,
        client: { ip, userAgent: '' },
        details: { limit },
      });
    if (count > counter.rule.count) exceed(service, limit, wait);
  }
}

/** Does the work of `countUp` without throwing, so that decoys take as long. */
export async function tally(
  service: Service,
  limit: keyof RateLimits,
  appId: string,
  subject: string,
): Promise<void> {
  for (const counter of countersOf(service, limit, appId, subject)) await increment(service, counter);
}

/** Throws if the limit is used up. Counts nothing. @throws {@link WireError} `too_many_requests` */
export async function checkLimit(
  service: Service,
  limit: keyof RateLimits,
  appId: string,
  subject: string | undefined,
): Promise<void> {
  for (const counter of countersOf(service, limit, appId, subject)) {
    const { count, wait } = await read(service, counter);
    if (count >= counter.rule.count) exceed(service, limit, wait);
  }
}

/** Uses up what a window of a limit allows once. @returns False if it was used up before. */
export async function takeOnce(
  service: Service,
  limit: keyof RateLimits,
  appId: string,
  subject: string,
): Promise<boolean> {
  const once = onceOf(service, limit, appId, subject);
  return !once || (await increment(service, once)).count === 1;
}

/** Whether `takeOnce` took it in this window. */
export async function isTaken(
  service: Service,
  limit: keyof RateLimits,
  appId: string,
  subject: string,
): Promise<boolean> {
  const once = onceOf(service, limit, appId, subject);
  return once !== undefined && (await read(service, once)).count > 0;
}

function onceOf(
  service: Service,
  limit: keyof RateLimits,
  appId: string,
  subject: string,
): Counter | undefined {
  const rule = service.options.rateLimits?.[limit];
  return (
    rule && { id: service.secrets.hash('limit', 'once', limit, appId, subject), rule: { ...rule, count: 1 } }
  );
}

function countersOf(
  service: Service,
  limit: keyof RateLimits,
  appId: string,
  subject: string | undefined,
): Counter[] {
  const rule = service.options.rateLimits?.[limit];
  if (!rule || subject === undefined) return [];
  const counters = [{ id: service.secrets.hash('limit', limit, appId, subject), rule }];
  // The owner of a /48 has 65,536 networks of the size that is counted.
  const site = limit.endsWith('PerIp')
    ? /^([\da-f]+:[\da-f]+:[\da-f]+):[\da-f]+::\/64$/.exec(subject)?.[1]
    : undefined;
  if (site === undefined) return counters;
  const id = service.secrets.hash('limit', limit, appId, `${site}::/48`);
  return [...counters, { id, rule: { ...rule, count: rule.count * 4 } }];
}

/** @returns What was counted in this window, and the milliseconds to its end. */
async function increment(service: Service, { id, rule }: Counter): Promise<{ count: number; wait: number }> {
  const now = service.clock();
  const end = now + rule.window * 1000;
  // An end after the window was written with a clock that was ahead, or for a longer window.
  const over = sql<boolean>`limits.resets_at <= ${now} or limits.resets_at > ${end}`;
  const row = await service.db
    .insertInto('limits')
    .values({ id, count: 1, resets_at: end })
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet({
        count: sql<number>`case when ${over} then 1 else limits.count + 1 end`,
        resets_at: sql<number>`case when ${over} then excluded.resets_at else limits.resets_at end`,
      }),
    )
    .returning(['count', 'resets_at'])
    .executeTakeFirstOrThrow();
  return { count: row.count, wait: row.resets_at - now };
}

async function read(service: Service, { id, rule }: Counter): Promise<{ count: number; wait: number }> {
  const now = service.clock();
  const row = await service.db
    .selectFrom('limits')
    .select(['count', 'resets_at'])
    .where('id', '=', id)
    .where('resets_at', '>', now)
    .where('resets_at', '<=', now + rule.window * 1000)
    .executeTakeFirst();
  return { count: row?.count ?? 0, wait: (row?.resets_at ?? now) - now };
}

function exceed(service: Service, limit: keyof RateLimits, milliseconds: number): never {
  service.metrics.limits.inc({ limit });
  throw new WireError('too_many_requests', undefined, {
    retryAfter: Math.max(1, Math.ceil(milliseconds / 1000)),
  });
}
