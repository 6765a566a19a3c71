/**
 * What ends what a user holds. `docs/security.md` has the table; nothing else deletes sessions or pending secrets of a user.
 *
 * @module
 */
import type { Queries } from '../storage/database.ts';

/** Ends every session of a user and all that is pending. The user must be locked. */
export async function endAll(trx: Queries, appId: string, userId: string): Promise<void> {
  await endSessions(trx, appId, userId);
  await endPending(trx, appId, userId);
}

/**
 * Ends the sessions of a user. The user must be locked.
 *
 * @param only `deviceId`: those that this passkey opened. Default is all.
 */
export async function endSessions(
  trx: Queries,
  appId: string,
  userId: string,
  { deviceId }: { deviceId?: string } = {},
): Promise<void> {
  const sessions = trx.deleteFrom('sessions').where('app_id', '=', appId).where('user_id', '=', userId);
  await (deviceId === undefined ? sessions : sessions.where('device_id', '=', deviceId)).execute();
}

/**
 * Ends codes, links of both APIs and begun ceremonies of a user. The user must be locked. A passkey login without an identifier is
 * nobody's until its answer, which is then held against the user.
 *
 * @param except Hash of the ID of a link that stays: the one that causes the end.
 */
export async function endPending(
  trx: Queries,
  appId: string,
  userId: string,
  { except = '' }: { except?: string } = {},
): Promise<void> {
  for (const table of ['codes', 'handshakes'] as const)
    await trx.deleteFrom(table).where('app_id', '=', appId).where('user_id', '=', userId).execute();
  await trx
    .deleteFrom('links')
    .where('app_id', '=', appId)
    .where('user_id', '=', userId)
    .where('id_hash', '!=', except)
    .execute();
}
