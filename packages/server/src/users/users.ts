import { WireError } from '../errors.ts';
import { record } from '../events/record.ts';
import type { App, Client, Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { Channel, DeviceRow, NewUser, UserRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';
import { prepare, prepareOne, run, type Statement } from '../storage/statements.ts';
import type { Identifier } from './identifiers.ts';

export async function findUser(queries: Queries, appId: string, id: string): Promise<UserRow | undefined> {
  return queries
    .selectFrom('users')
    .selectAll()
    .where('app_id', '=', appId)
    .where('id', '=', id)
    .executeTakeFirst();
}

/** @throws {@link WireError} `user_not_found` */
export async function requireUser(queries: Queries, appId: string, id: string): Promise<UserRow> {
  const user = await findUser(queries, appId, id);
  if (!user) throw new WireError('user_not_found');
  return user;
}

/** Locks a user, as `lockUser` does. An update without changes locks the row in both databases. SQLite has no `select … for update`. */
export const userLock = prepare((db, { appId, id }: { appId: string; id: string }) =>
  db
    .updateTable('users')
    .set((eb) => ({ status: eb.ref('status') }))
    .where('app_id', '=', appId)
    .where('id', '=', id)
    .returningAll(),
);

/**
 * Finds and locks a user: until this transaction ends, no other transaction can log the user in or end their sessions.
 * All code that opens or ends sessions, codes, links or ceremonies of a user calls this first, to prevent deadlocks.
 */
export async function lockUser(trx: Queries, appId: string, id: string): Promise<UserRow | undefined> {
  const [user] = await run(trx, userLock({ appId, id }));
  return user;
}

export async function findUserByIdentifier(
  queries: Queries,
  appId: string,
  identifier: Identifier,
): Promise<UserRow | undefined> {
  const [user] = await run(queries, userOf(appId, identifier));
  return user;
}

const byAddress = {
  email: prepareByAddress('email'),
  phone: prepareByAddress('phone'),
};

function prepareByAddress(channel: Channel) {
  type Values = { appId: string; value: string };
  return {
    user: prepareOne((db, { appId, value }: Values) =>
      db.selectFrom('users').selectAll().where('app_id', '=', appId).where(channel, '=', value),
    ),
    devices: prepare((db, { appId, value }: Values) =>
      db
        .selectFrom('devices')
        .innerJoin('users', (join) =>
          join.onRef('users.app_id', '=', 'devices.app_id').onRef('users.id', '=', 'devices.user_id'),
        )
        .selectAll('devices')
        .where('users.app_id', '=', appId)
        .where(`users.${channel}`, '=', value)
        .orderBy('devices.created_at')
        .orderBy('devices.id'),
    ),
  };
}

/** Finds the user of an address. */
export function userOf(appId: string, { channel, value }: Identifier): Statement<UserRow> {
  return byAddress[channel].user({ appId, value });
}

/** Lists the passkeys of the user of an address. */
export function devicesOf(appId: string, { channel, value }: Identifier): Statement<DeviceRow> {
  return byAddress[channel].devices({ appId, value });
}

/** Returns an empty user with a new ID. */
export function blankUser(appId: string, now: number): NewUser {
  return {
    app_id: appId,
    id: randomText(),
    email: null,
    email_verified: 0,
    phone: null,
    phone_verified: 0,
    external_id: '',
    status: 'pending',
    login_count: 0,
    metadata: null,
    created_at: now,
    updated_at: now,
    last_login_at: 0,
    origin: 'back_end',
    email_proven_at: null,
    phone_proven_at: null,
    email_open: 0,
    phone_open: 0,
    open_metadata: null,
    ended_at: 0,
  };
}

/** Adds a user, or returns `undefined` if one of their addresses is taken. Two concurrent requests create one user. */
export async function insertUser(
  service: Service,
  trx: Queries,
  app: App,
  values: Partial<NewUser>,
): Promise<UserRow | undefined> {
  return trx
    .insertInto('users')
    .values({ ...blankUser(app.id, service.clock()), ...values })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
}

/** Adds a user like `insertUser`, and records the event. */
export async function createUser(
  service: Service,
  trx: Queries,
  app: App,
  client: Client,
  values: Partial<NewUser>,
): Promise<UserRow | undefined> {
  const user = await insertUser(service, trx, app, values);
  if (!user) return undefined;
  await record(service, trx, {
    type: 'user.created',
    appId: app.id,
    userId: user.id,
    client,
    details: { origin: user.origin },
    addresses: [user.email, user.phone],
  });
  return user;
}

/** Returns the user of an address, and creates a pending one if there is none. */
export async function findOrInsertUser(
  service: Service,
  app: App,
  client: Client,
  identifier: Identifier,
  values: Partial<NewUser> = {},
): Promise<UserRow> {
  const known = await findUserByIdentifier(service.db, app.id, identifier);
  if (known) return known;
  const { channel, value } = identifier;
  const open = values.origin === 'signup' ? 1 : 0;
  const made = await service.db
    .transaction()
    .execute((trx) =>
      createUser(service, trx, app, client, { ...values, [channel]: value, [`${channel}_open`]: open }),
    );
  const user = made ?? (await findUserByIdentifier(service.db, app.id, identifier));
  if (!user) throw new WireError('user_not_found');
  return user;
}

/**
 * Marks a user as belonging to the back end, which confirms that an address is theirs. From then on, strangers can neither continue the
 * sign-up nor take the address away from the account.
 */
export async function adoptUser(
  service: Service,
  client: Client,
  user: UserRow,
  channel: Channel,
): Promise<UserRow> {
  if (user.origin === 'back_end' && user[`${channel}_open`] === 0) return user;
  const changes = { origin: 'back_end', [`${channel}_open`]: 0 } as const;
  await service.db.transaction().execute(async (trx) => {
    const locked = await lockUser(trx, user.app_id, user.id);
    if (!locked) throw new WireError('user_not_found');
    await trx
      .updateTable('users')
      .set(changes)
      .where('app_id', '=', user.app_id)
      .where('id', '=', user.id)
      .execute();
    await recordAdoption(service, trx, client, locked);
  });
  return { ...user, ...changes };
}

/** Records that the back end takes over a user, unless it already has. The user must be locked. */
export async function recordAdoption(
  service: Service,
  trx: Queries,
  client: Client,
  { id, app_id, origin }: UserRow,
): Promise<void> {
  if (origin === 'back_end') return;
  await record(service, trx, {
    type: 'user.adopted',
    appId: app_id,
    userId: id,
    client,
    details: { origin },
  });
}

export function listDevices(queries: Queries, appId: string, userId: string): Promise<DeviceRow[]> {
  return queries
    .selectFrom('devices')
    .selectAll()
    .where('app_id', '=', appId)
    .where('user_id', '=', userId)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}
