import { sql } from 'kysely';
import { WireError } from '../errors.ts';
import { report } from '../events/record.ts';
import type { RateLimit, RateLimits } from '../options.ts';
import type { Service } from '../service.ts';
import { prepare, type RowsOf, run, runAll, type Statement } from '../storage/statements.ts';

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
  await countUpAnd(service, limit, appId, subject, [], suspect);
}

/**
 * Counts like `countUp`, and runs statements in the same round trip and transaction. They run even if the limit is exceeded.
 *
 * @returns The rows of each statement.
 * @throws {@link WireError} `too_many_requests`
 */
export async function countUpAnd<const Statements extends readonly Statement<unknown>[]>(
  service: Service,
  limit: keyof RateLimits,
  appId: string,
  subject: string | undefined,
  statements: Statements,
  suspect: Suspect = {},
): Promise<RowsOf<Statements>> {
  const counters = countersOf(service, limit, appId, subject);
  const last = counters.pop();
  const reach = (counter: Counter, row: LimitRow | undefined) => {
    const count = row?.count ?? Number.POSITIVE_INFINITY;
    const ip = limit.endsWith('PerIp') ? subject : suspect.ip;
    if (count === counter.rule.count)
      report(service, {
        type: 'limit.reached',
        appId,
        userId: suspect.user ?? undefined,
        client: { ip, userAgent: '' },
        details: { limit },
      });
    if (count > counter.rule.count) exceed(service, limit, (row?.resets_at ?? 0) - service.clock());
  };
  for (const counter of counters) reach(counter, (await run(service.db, increment(service, counter)))[0]);
  if (!last) return runAll(service.db, statements);
  const [[row], ...rows] = await runAll(service.db, [increment(service, last), ...statements]);
  reach(last, row);
  return rows as RowsOf<Statements>;
}

/** Does the work of `countUp` without throwing, so that decoys take as long. */
export async function tally(
  service: Service,
  limit: keyof RateLimits,
  appId: string,
  subject: string,
): Promise<void> {
  for (const counter of countersOf(service, limit, appId, subject))
    await run(service.db, increment(service, counter));
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
  if (!once) return true;
  const [row] = await run(service.db, increment(service, once));
  return row?.count === 1;
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

interface LimitRow {
  count: number;
  resets_at: number;
}

/** Counts one more. Returns what was counted in this window, and its end. */
function increment(service: Service, { id, rule }: Counter): Statement<LimitRow> {
  const now = service.clock();
  return upsert({ id, now, end: now + rule.window * 1000 });
}

const upsert = prepare((db, { id, now, end }: { id: string; now: number; end: number }) => {
  // An end after the window was written with a clock that was ahead, or for a longer window.
  const over = sql<boolean>`limits.resets_at <= ${now} or limits.resets_at > ${end}`;
  return db
    .insertInto('limits')
    .values({ id, count: sql.lit(1), resets_at: end })
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet({
        count: sql<number>`case when ${over} then 1 else limits.count + 1 end`,
        resets_at: sql<number>`case when ${over} then excluded.resets_at else limits.resets_at end`,
      }),
    )
    .returning(['count', 'resets_at']);
});

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
