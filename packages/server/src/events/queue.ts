/**
 * The table of events to post to the webhook. An event is written in the transaction of its change.
 *
 * @module
 */
import { sql } from 'kysely';
import type { Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { WebhookRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';

const second = 1_000;
const hour = 3_600 * second;

/** How long the server retries an event, in milliseconds. */
const patience = 24 * hour;
/** Tries before an event can fail, whatever its age, because the server may have been stopped for a day. */
const leastTries = 10;
/** Longest time between two tries, in milliseconds. */
const longestWait = 2 * hour;
/** Time after the timeout of a request until other processes may send the event, in milliseconds. */
const slack = 30 * second;

interface NewEvent {
  appId: string;
  userId: string;
  type: string;
  /** Fields besides app and user. */
  data: object;
}

/** Which events to list. Omitted conditions match everything. */
export interface QueueFilter {
  appId?: string | undefined;
  userIds?: readonly string[] | undefined;
  state?: WebhookRow['state'] | undefined;
  types?: readonly string[] | undefined;
  limit: number;
}

/** Adds an event, in the transaction of its change. */
export async function enqueue(
  service: Service,
  trx: Queries,
  { appId, userId, type, data }: NewEvent,
): Promise<void> {
  const now = service.clock();
  const body = {
    type,
    timestamp: new Date(now).toISOString(),
    data: { app_id: appId, user_id: userId, ...data },
  };
  await trx
    .insertInto('webhooks')
    .values({
      id: `evt_${randomText()}`,
      app_id: appId,
      user_id: userId,
      // Two concurrent events may get the same number. One of the transactions is then retried.
      position: sql<number>`(select coalesce(max(position), 0) + 1 from webhooks
        where app_id = ${appId} and user_id = ${userId})`,
      type,
      body: JSON.stringify(body),
      ...unsent(now),
      created_at: now,
    })
    .execute();
}

/**
 * Takes events that are due, for each user the oldest waiting one. Other processes may take them again when their time is over. So
 * events of a killed process are sent too.
 */
export async function claim(
  { db, storage, clock }: Service,
  timeout: number,
  most: number,
): Promise<WebhookRow[]> {
  const now = clock();
  const due = db
    .selectFrom('webhooks')
    .select('id')
    .where('state', '=', 'waiting')
    .where('due_at', '<=', now);
  // Usually no event is due, and reading takes no lock.
  if (!(await due.limit(1).executeTakeFirst())) return [];
  const skip = storage.kind === 'postgres' ? sql`for update skip locked` : sql``;
  const { rows } = await sql<WebhookRow>`
    with due as materialized (
      select id from webhooks as one
      where state = 'waiting' and due_at <= ${now} and not exists (
        select 1 from webhooks as earlier
        where earlier.app_id = one.app_id and earlier.user_id = one.user_id
        and earlier.position < one.position and earlier.state = 'waiting'
      )
      order by due_at limit ${most} ${skip}
    )
    update webhooks set attempts = attempts + 1, due_at = ${now + timeout + slack}
    where id in (select id from due) returning *`.execute(db);
  return rows;
}

/** Notes that the receiver accepted an event. */
export async function noteSent({ db, clock }: Service, { id }: WebhookRow): Promise<void> {
  await db
    .updateTable('webhooks')
    .set({ state: 'sent', done_at: clock(), answer: null })
    .where('id', '=', id)
    .execute();
}

/**
 * Notes that the receiver did not accept an event. It is retried, and later events of its user wait.
 *
 * @returns Whether the event has failed and is not retried.
 */
export async function noteFailure(
  { db, clock }: Service,
  { id, app_id, user_id, attempts, expires_at }: WebhookRow,
  answer: string,
): Promise<boolean> {
  const now = clock();
  const givenUp = now >= expires_at && attempts >= leastTries;
  await db.transaction().execute(async (trx) => {
    const own = trx
      .updateTable('webhooks')
      .set({ answer, ...(givenUp && { state: 'failed', done_at: now }) })
      .where('id', '=', id)
      .where('state', '=', 'waiting')
      // If this process was too slow, another one has taken the event.
      .where('attempts', '=', attempts)
      .returning('id');
    if (!(await own.executeTakeFirst()) || givenUp) return;
    await trx
      .updateTable('webhooks')
      .set({ due_at: now + waitAfter(attempts) })
      .where('app_id', '=', app_id)
      .where('user_id', '=', user_id)
      .where('state', '=', 'waiting')
      .execute();
  });
  return givenUp;
}

/** 5 seconds after the first try, then twice as long after each try. */
function waitAfter(attempts: number): number {
  return Math.min(5 * second * 2 ** (attempts - 1), longestWait);
}

/** Lists events, newest first. */
export async function listQueue(
  queries: Queries,
  { appId, userIds, state, types, limit }: QueueFilter,
): Promise<WebhookRow[]> {
  let query = queries.selectFrom('webhooks').selectAll();
  if (appId !== undefined) query = query.where('app_id', '=', appId);
  if (userIds) query = query.where('user_id', 'in', userIds);
  if (state) query = query.where('state', '=', state);
  if (types) query = query.where('type', 'in', types);
  return query.orderBy('created_at', 'desc').orderBy('position', 'desc').limit(limit).execute();
}

/** An event that was not yet sent. */
function unsent(now: number) {
  return {
    state: 'waiting',
    attempts: 0,
    due_at: now,
    expires_at: now + patience,
    done_at: null,
    answer: null,
  } as const;
}

/**
 * Marks events to be sent again, as if they were new: one by its ID, in any state, or all that failed.
 *
 * @returns Number of events.
 */
export async function resend({ db, clock }: Service, which: { id: string } | { appId?: string | undefined }) {
  const now = clock();
  let update = db.updateTable('webhooks').set(unsent(now));
  if ('id' in which) update = update.where('id', '=', which.id);
  else {
    update = update.where('state', '=', 'failed');
    if (which.appId !== undefined) update = update.where('app_id', '=', which.appId);
  }
  return (await update.returning('id').execute()).length;
}

/** When the oldest waiting event was created, in milliseconds since the epoch. */
export async function oldestWaiting({ db }: Service): Promise<number | undefined> {
  const row = await db
    .selectFrom('webhooks')
    .select(({ fn }) => fn.min('created_at').as('oldest'))
    .where('state', '=', 'waiting')
    .executeTakeFirst();
  return row?.oldest ?? undefined;
}
