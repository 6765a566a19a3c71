import { WireError } from '../errors.ts';
import { record } from '../events/record.ts';
import type { App, Client, Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { UserRow } from '../storage/schema.ts';
import type { Identifier } from '../users/identifiers.ts';
import { changedFields } from '../users/metadata.ts';
import { findOrInsertUser, findUserByIdentifier, lockUser } from '../users/users.ts';
import { deleteUser } from './endings.ts';

/** @throws {@link WireError} `operation_not_allowed` */
export function requireMethod(app: App, method: 'passkeys' | 'otp' | 'magicLink'): void {
  if (!app.settings.authMethods[method].enabled) throw new WireError('operation_not_allowed');
}

/** Metadata that a visitor enters to register. */
export type Entered = Pick<UserRow, 'metadata' | 'open_metadata'>;

/**
 * Returns the user that a visitor registers as, and creates a pending one if there is none.
 *
 * @throws {@link WireError} if the address belongs to somebody who has logged in, or sign-up is closed
 */
export async function registerUser(
  service: Service,
  app: App,
  client: Client,
  identifier: Identifier,
  entered?: Entered,
): Promise<UserRow> {
  requireSignup(app);
  const user = await findOrInsertUser(service, app, client, identifier, { origin: 'signup', ...entered });
  if (user.status === 'inactive') throw new WireError('user_not_active');
  // The iOS client compares this text.
  if (user.login_count > 0 || user.status === 'active')
    throw new WireError('invalid_request', 'user: already exists.');
  if (entered && isUnfinishedSignup(user)) {
    await service.db.transaction().execute((trx) => replaceMetadata(service, trx, user, entered, client));
  }
  return user;
}

/** Removes what an earlier visitor, who may be somebody else, entered into an unfinished sign-up. */
export async function replaceMetadata(
  service: Service,
  trx: Queries,
  user: UserRow,
  entered: Entered,
  client: Client,
): Promise<void> {
  const replaced = await trx
    .updateTable('users')
    .set(entered)
    .where('app_id', '=', user.app_id)
    .where('id', '=', user.id)
    .where('origin', '=', 'signup')
    .where('status', '=', 'pending')
    .where('login_count', '=', 0)
    .returning('id')
    .executeTakeFirst();
  const fields = changedFields(user.metadata, entered.metadata);
  if (!replaced || fields.length === 0) return;
  const change = { appId: user.app_id, userId: user.id, client, details: { fields } };
  await record(service, trx, { type: 'metadata.changed', ...change });
}

export function requireSignup(app: App): void {
  // The official front end compares the first two words.
  if (!app.settings.publicSignup)
    throw new WireError('operation_not_allowed', 'Public signup is disabled for this app');
}

/**
 * Returns the user of a login.
 *
 * @throws {@link WireError} `user_not_found`, `user_not_active`
 */
export async function requireKnownUser(service: Service, app: App, identifier: Identifier): Promise<UserRow> {
  const user = await findUserByIdentifier(service.db, app.id, identifier);
  requireKnown(user);
  return user;
}

/** @throws {@link WireError} `user_not_found`, `user_not_active` */
export function requireKnown(user: UserRow | undefined): asserts user is UserRow {
  if (!user) throw new WireError('user_not_found');
  if (user.status === 'inactive') throw new WireError('user_not_active');
}

/**
 * Rejects a first passkey for users that the back end or an import created and, if the app requires proof, for
 * all users. They log in by code or link, and then add a passkey. A verified address does not mean that this visitor
 * verified it.
 *
 * @throws {@link WireError} `identifier_not_verified`, `invalid_request`, `user_not_active`
 */
export function requireUnclaimed({ settings }: App, user: UserRow): void {
  if (user.status === 'inactive') throw new WireError('user_not_active');
  // Somebody may have proven the address by code or link since the ceremony began.
  if (user.status !== 'pending') throw new WireError('invalid_request', 'user: already exists.');
  if (settings.requireIdentifierVerification || !isUnfinishedSignup(user)) {
    throw new WireError('identifier_not_verified');
  }
}

/** Returns whether a user exists only because of a sign-up that never led to a login. */
export function isUnfinishedSignup(user: UserRow): boolean {
  return user.origin === 'signup' && user.status === 'pending' && user.login_count === 0;
}

/**
 * Frees an address for a user to whom it was proven or whom the back end gives it. An unfinished sign-up does not keep
 * it, because anybody can begin one: its user is deleted.
 *
 * @returns False if the address belongs to another user.
 */
export async function freeAddress(
  service: Service,
  trx: Queries,
  user: UserRow,
  address: Identifier,
  client: Client,
): Promise<boolean> {
  const { app_id: appId } = user;
  const holder = await findUserByIdentifier(trx, appId, address);
  if (!holder) return true;
  // Locked before it is judged: the sign-up may be finished at this moment.
  const locked = isUnfinishedSignup(holder) ? await lockUser(trx, appId, holder.id) : holder;
  if (!locked) return true;
  if (!isUnfinishedSignup(locked)) return false;
  const actor = client.actor ?? ({ kind: 'user', id: user.id } as const);
  await deleteUser(service, trx, appId, locked.id, { ...client, actor });
  return true;
}
