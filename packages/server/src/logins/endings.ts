/**
 * Ends sessions and pending secrets of users. `docs/security.md` has the table of what ends what. No other code
 * deletes them.
 *
 * @module
 */
import { record } from '../events/record.ts';
import type { Client, Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { Flag, LinkRow } from '../storage/schema.ts';

/** Ends all sessions, codes, links and ceremonies of a user. The user must be locked. */
export async function endAll(trx: Queries, appId: string, userId: string, now: number): Promise<void> {
  await endSessions(trx, appId, userId);
  await endPending(trx, appId, userId, now);
}

/** Deletes a user with all their data. The user must be locked. */
export async function deleteUser(
  service: Service,
  trx: Queries,
  appId: string,
  userId: string,
  client: Client,
): Promise<void> {
  await endAll(trx, appId, userId, service.clock());
  await trx.deleteFrom('users').where('app_id', '=', appId).where('id', '=', userId).execute();
  await record(service, trx, { type: 'user.deleted', appId, userId, client });
}

/**
 * Ends the sessions of a user. The user must be locked.
 *
 * @param only `deviceId`: those that this passkey opened. `proven`: those with or without a proof of an address. `except`: not the
 * one with this ID. Default is all.
 * @returns Number of sessions.
 */
export async function endSessions(
  trx: Queries,
  appId: string,
  userId: string,
  { deviceId, proven, except }: { deviceId?: string; proven?: Flag; except?: string | undefined } = {},
): Promise<number> {
  let sessions = trx.deleteFrom('sessions').where('app_id', '=', appId).where('user_id', '=', userId);
  if (deviceId !== undefined) sessions = sessions.where('device_id', '=', deviceId);
  if (proven !== undefined) sessions = sessions.where('proven', '=', proven);
  if (except !== undefined) sessions = sessions.where('id', '!=', except);
  return (await sessions.returning('id').execute()).length;
}

/**
 * Ends codes, links of both APIs and begun ceremonies of a user. The user must be locked. A passkey login without an identifier
 * belongs to nobody until its answer arrives. The answer is then compared with the time of this end.
 *
 * @param except Hash of the ID of the link that causes the end. It stays.
 * @param source Ends only links that were created for this source. Default is all.
 */
export async function endPending(
  trx: Queries,
  appId: string,
  userId: string,
  now: number,
  { except = '', source }: { except?: string | undefined; source?: LinkRow['source'] } = {},
): Promise<void> {
  await trx
    .updateTable('users')
    .set({ ended_at: now })
    .where('app_id', '=', appId)
    .where('id', '=', userId)
    .execute();
  for (const table of ['codes', 'handshakes'] as const)
    await trx.deleteFrom(table).where('app_id', '=', appId).where('user_id', '=', userId).execute();
  const links = trx
    .deleteFrom('links')
    .where('app_id', '=', appId)
    .where('user_id', '=', userId)
    .where('id_hash', '!=', except);
  await (source === undefined ? links : links.where('source', '=', source)).execute();
}
