/**
 * Events that wait to be posted, in a table: written with the change that they tell of, so neither is without the other.
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

/** How long an event is tried, in milliseconds. */
const patience = 24 * hour;
/** An event gets so many tries in any case: the server itself may have been away for a day. */
const leastTries = 10;
/** Longest time between two tries, in milliseconds. */
const longestWait = 2 * hour;
/** How long a try may take besides the timeout of its request, in milliseconds: then others take the event to be abandoned. */
const slack = 30 * second;

interface NewEvent {
  appId: string;
  userId: string;
  /** Name of the event. */
  type: string;
  /** What it says besides app and user. */
  data: object;
}

/** Which events to list. What is left out does not matter. */
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
      // Two that come at the same moment take the same one, and then one of the transactions is begun again.
      position: sql<number>`(select coalesce(max(position), 0) + 1 from webhooks
        where app_id = ${appId} and user_id = ${userId})`,
      type,
      body: JSON.stringify(body),
      state: 'waiting',
      attempts: 0,
      due_at: now,
      expires_at: now + patience,
      done_at: null,
      answer: null,
      created_at: now,
    })
    .execute();
}

/**
 * Takes events that are due, of each user the oldest that waits. Nobody else takes them until their time is over, so those of a process
 * that was killed come up again.
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
  // Most of the time there is none: reading takes no lock.
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

/** Notes that an event was taken. */
export async function noteSent({ db, clock }: Service, { id }: WebhookRow): Promise<void> {
  await db
    .updateTable('webhooks')
    .set({ state: 'sent', done_at: clock(), answer: null })
    .where('id', '=', id)
    .execute();
}

/**
 * Notes that an event was not taken. It is tried again, and later ones of its user wait with it.
 *
 * @returns Whether it was given up.
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
      // Another process has taken it when this one was too slow.
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

/** 5 seconds after the first try, twice as long after each further one. */
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

/**
 * Has events sent again, as if they were new: one by its ID, whatever became of it, or all that failed.
 *
 * @returns Number of events.
 */
export async function resend({ db, clock }: Service, which: { id: string } | { appId?: string | undefined }) {
  const now = clock();
  let update = db.updateTable('webhooks').set({
    state: 'waiting',
    attempts: 0,
    due_at: now,
    expires_at: now + patience,
    done_at: null,
    answer: null,
  });
  if ('id' in which) update = update.where('id', '=', which.id);
  else {
    update = update.where('state', '=', 'failed');
    if (which.appId !== undefined) update = update.where('app_id', '=', which.appId);
  }
  return (await update.returning('id').execute()).length;
}

/** When the oldest event was made that waits, in milliseconds since the epoch. */
export async function oldestWaiting({ db }: Service): Promise<number | undefined> {
  const row = await db
    .selectFrom('webhooks')
    .select(({ fn }) => fn.min('created_at').as('oldest'))
    .where('state', '=', 'waiting')
    .executeTakeFirst();
  return row?.oldest ?? undefined;
}
