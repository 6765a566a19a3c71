import type { Client, Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { EventRow, UserRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';

interface UserEvent {
  appId: string;
  userId: string;
  type: string;
  client: Client;
}

/** Writes what happened to a user to the log, and counts it. */
export function logEvent(service: Service, { appId, userId, type, client }: UserEvent): void {
  service.metrics.events.inc({ type });
  service.options.logger.info({ app: appId, user: userId, event: type, ip: client.ip }, 'Event');
}

/** Writes down what happened to a user, in the same transaction. */
export async function recordEvent(
  service: Service,
  queries: Queries,
  event: UserEvent & { action: EventRow['action'] },
): Promise<void> {
  logEvent(service, event);
  await queries
    .insertInto('events')
    .values({
      id: randomText(),
      app_id: event.appId,
      user_id: event.userId,
      type: event.type,
      action: event.action,
      ip_addr: event.client.ip ?? '',
      user_agent: event.client.userAgent.slice(0, 500),
      created_at: service.clock(),
    })
    .execute();
}

/** Whether a user has ever logged in from an IP address. */
export async function hasLoggedInFrom(
  queries: Queries,
  appId: string,
  userId: string,
  ip: string,
): Promise<boolean> {
  const login = await queries
    .selectFrom('events')
    .select('id')
    .where('app_id', '=', appId)
    .where('user_id', '=', userId)
    .where('ip_addr', '=', ip)
    .where('action', 'in', ['register', 'login'])
    .limit(1)
    .executeTakeFirst();
  return login !== undefined;
}

export function listRecentEvents(queries: Queries, user: UserRow): Promise<EventRow[]> {
  return queries
    .selectFrom('events')
    .selectAll()
    .where('app_id', '=', user.app_id)
    .where('user_id', '=', user.id)
    .orderBy('created_at', 'desc')
    .limit(10)
    .execute();
}
