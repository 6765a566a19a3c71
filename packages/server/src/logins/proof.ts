/**
 * Decides who owns an account: the person who first proves one of its addresses. This ends passkeys and sessions that
 * others created before. `docs/security.md` has the rules.
 *
 * @module
 */
import type { Removed } from '../delivery/delivery.ts';
import { WireError } from '../errors.ts';
import { record } from '../events/record.ts';
import type { App, Client, Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { Channel, LoginAction, SessionRow, UserRow, UserTable } from '../storage/schema.ts';
import { omitFields } from '../users/metadata.ts';
import { endPending, endSessions } from './endings.ts';

/** A code or link that was used. */
export interface Proof {
  channel: Channel;
  action: LoginAction;
  /** Hash of the ID of the link, which the device that requested it may still claim. */
  linkHash?: string;
}

/** Result of a login by code or link. */
export interface Proven {
  /** Whether it proves an address of the user. */
  proven: boolean;
  /** What was removed from the account. */
  removed: Removed[];
  /** The user after the login. */
  user: UserRow;
}

/**
 * Records a login by code or link. The first one that proves an address removes everything that was created without
 * proof. The user must be locked. An address that a visitor added without proof to a user of the back end proves
 * nothing.
 */
export async function proveByLogin(
  service: Service,
  trx: Queries,
  app: App,
  user: UserRow,
  { channel, action, linkHash }: Proof,
  client: Client,
): Promise<Proven> {
  if (user[`${channel}_proven_at`] !== null) return { proven: true, removed: [], user };
  const other = otherOf(channel);
  const othersKnown =
    user[other] !== null && user[`${other}_open`] === 0 && user[`${other}_proven_at`] === null;
  if (user[`${channel}_open`] === 1 && othersKnown) return { proven: false, removed: [], user };

  const address = user[other] !== null && user[`${other}_open`] === 1 ? other : undefined;
  // A visitor who finishes a sign-up by its code keeps what they entered.
  const finishes = action === 'register' && user.login_count === 0;
  const changes = {
    ...provenNow(service, channel),
    ...(address && { [address]: null, [`${address}_verified`]: 0, [`${address}_open`]: 0 }),
    ...(finishes && { metadata: user.metadata }),
  };
  await recordProof(service, trx, user, channel, client);
  return {
    proven: true,
    ...(await removeUnproven(service, trx, app, user, { changes, address, linkHash, client })),
  };
}

/** What stays, and what else changes, when everything that was created without proof is removed. */
interface Removal {
  changes: Partial<UserTable>;
  /** Address that `changes` removes. */
  address?: Channel | undefined;
  /** Hash of the ID of the link that is the proof. */
  linkHash?: string | undefined;
  /** ID of the session that stays. */
  sessionId?: string | undefined;
  client: Client;
}

/** Removes everything that was created without proof. The user must be locked. */
async function removeUnproven(
  service: Service,
  trx: Queries,
  app: App,
  user: UserRow,
  { changes, address, linkHash, sessionId, client }: Removal,
): Promise<Omit<Proven, 'proven'>> {
  const passkeys = app.settings.unprovenPasskeys === 'remove' ? await removePasskeys(trx, user) : [];
  const sessions = await endSessions(trx, app.id, user.id, { proven: 0, except: sessionId });
  await endPending(trx, app.id, user.id, service.clock(), { except: linkHash, source: 'visitor' });
  const metadata = omitFields(user.metadata, user.open_metadata);
  const changed = await change(trx, user, { metadata, open_metadata: null, ...changes });
  const lost = {
    passkeys: passkeys.length,
    sessions,
    addresses: address,
    metadata: changed.metadata !== user.metadata,
  };
  const removed = (Object.keys(lost) as (keyof typeof lost)[]).filter((kind) => lost[kind]);
  if (removed.length > 0) {
    const details = { removed, ...(passkeys.length && { passkeys }) };
    await record(service, trx, {
      type: 'unproven.removed',
      appId: app.id,
      userId: user.id,
      client,
      details,
      addresses: [address && user[address]],
      fields: [
        ...(address ? [address, `${address}_verified`] : []),
        ...(lost.metadata ? ['user_metadata'] : []),
        ...(lost.passkeys ? ['webauthn_devices'] : []),
      ],
    });
  }
  return { removed, user: changed };
}

/**
 * Records a link that a session of the user requested. Its user has the session and all addresses of the account, so
 * nothing is removed, unless a code or link opened the session: then somebody else may have created the passkeys. The
 * user must be locked and must already have the address.
 *
 * While another address of the account is unproven, an added address proves nothing: the other one may belong to
 * somebody else.
 *
 * @returns What was removed from the account.
 */
export async function proveBySession(
  service: Service,
  trx: Queries,
  app: App,
  user: UserRow,
  session: SessionRow,
  { channel, linkHash }: Omit<Proof, 'action'>,
  client: Client,
): Promise<Removed[]> {
  const other = otherOf(channel);
  const own = user[`${other}_open`] === 1 && user[`${other}_verified`] === 1;
  if (session.proven === 0 && user[other] !== null && !own) {
    if (user[`${channel}_proven_at`] === null) await change(trx, user, { [`${channel}_open`]: 1 });
    return [];
  }
  const changes = { ...provenNow(service, channel), ...(own && provenNow(service, other)) };
  for (const proven of own ? [channel, other] : [channel]) {
    if (user[`${proven}_proven_at`] === null) await recordProof(service, trx, user, proven, client);
  }
  if (session.proven === 1) {
    await change(trx, user, changes);
    return [];
  }
  if (session.method !== 'passkey') {
    const sessionId = session.id;
    const { removed } = await removeUnproven(service, trx, app, user, {
      changes,
      linkHash,
      sessionId,
      client,
    });
    await trx.updateTable('sessions').set({ proven: 1 }).where('id', '=', sessionId).execute();
    return removed;
  }
  await change(trx, user, { ...changes, open_metadata: null });
  for (const table of ['sessions', 'devices'] as const) {
    await trx
      .updateTable(table)
      .set({ proven: 1 })
      .where('app_id', '=', user.app_id)
      .where('user_id', '=', user.id)
      .execute();
  }
  return [];
}

/**
 * Prevents a session without proof from replacing an address that the back end assigned to the user: a stranger who signed up with that
 * address could otherwise take over what the back end gave to the account.
 *
 * @throws {@link WireError} `operation_not_allowed`
 */
export function requireReplaceable(user: UserRow, session: SessionRow, channel: Channel): void {
  const vouched =
    user.origin === 'back_end' && user[`${channel}_open`] === 0 && user[`${channel}_proven_at`] === null;
  if (session.proven === 0 && user[channel] !== null && vouched)
    throw new WireError('operation_not_allowed', 'Log in by a code or link first to change this address');
}

function recordProof(
  service: Service,
  trx: Queries,
  { app_id: appId, id: userId, ...user }: UserRow,
  channel: Channel,
  client: Client,
) {
  const type = `${channel}.proven` as const;
  return record(service, trx, { type, appId, userId, client, addresses: [user[channel]] });
}

async function removePasskeys(trx: Queries, { app_id, id }: UserRow): Promise<string[]> {
  const removed = await trx
    .deleteFrom('devices')
    .where('app_id', '=', app_id)
    .where('user_id', '=', id)
    .where('proven', '=', 0)
    .returning('id')
    .execute();
  return removed.map((row) => row.id);
}

function provenNow(service: Service, channel: Channel): Partial<UserTable> {
  return { [`${channel}_proven_at`]: service.clock(), [`${channel}_open`]: 0 };
}

function change(trx: Queries, user: UserRow, changes: Partial<UserTable>): Promise<UserRow> {
  return trx
    .updateTable('users')
    .set(changes)
    .where('app_id', '=', user.app_id)
    .where('id', '=', user.id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

function otherOf(channel: Channel): Channel {
  return channel === 'email' ? 'phone' : 'email';
}
