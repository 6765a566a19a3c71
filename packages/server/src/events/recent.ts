import type { Queries } from '../storage/database.ts';
import type { EventRow, UserRow } from '../storage/schema.ts';

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
