import type { Queries } from '../storage/database.ts';
import { randomText, type Secrets } from '../storage/secrets.ts';
import type { Delivery, OutboxMessage } from './delivery.ts';

/** Most messages that are kept. */
const limit = 100;
/** Longest time that a message is kept: a day, in milliseconds. */
const lifetime = 86_400_000;

interface Place {
  readonly db: Queries;
  readonly secrets: Secrets;
  readonly clock: () => number;
}

/** Keeps the messages of a delivery in the database too, where `passage-server outbox` finds them. For development. */
export function storing(delivery: Delivery, { db, secrets, clock }: Place): Delivery {
  return {
    async send(message) {
      const now = clock();
      const id = randomText();
      const kept: OutboxMessage = { ...message, sentAt: new Date(now) };
      await db
        .insertInto('outbox')
        .values({
          id,
          app_id: message.appId,
          message: secrets.seal(JSON.stringify(kept), contextOf(id)),
          sent_at: now,
          expires_at: Math.min(now + lifetime, message.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY),
        })
        .execute();
      const newest = db
        .selectFrom('outbox')
        .select('id')
        .orderBy('sent_at', 'desc')
        .orderBy('id')
        .limit(limit);
      await db
        .deleteFrom('outbox')
        .where((where) => where.or([where('expires_at', '<=', now), where.not(where('id', 'in', newest))]))
        .execute();
      await delivery.send(message);
    },
  };
}

/** Lists the messages that are kept for an app, oldest first. */
export async function listStored({ db, secrets, clock }: Place, appId: string): Promise<OutboxMessage[]> {
  const rows = await db
    .selectFrom('outbox')
    .selectAll()
    .where('app_id', '=', appId)
    .where('expires_at', '>', clock())
    .orderBy('sent_at')
    .execute();
  return rows.map(({ id, message }) => JSON.parse(secrets.open(message, contextOf(id))));
}

function contextOf(id: string): string {
  return `outbox ${id}`;
}
