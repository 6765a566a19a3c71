import { z } from 'zod';
import { rewriteEntry } from '../events/audit.ts';
import { record } from '../events/record.ts';
import type { App, Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { DeviceRow, NewUser, UserRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';
import { faultOf, readRecord, userRecord } from './import.ts';
import { blankUser } from './users.ts';
import { metadataOf, wireTime } from './views.ts';

/** Users to read at a time, or to write in one transaction. */
export const batchSize = 500;

const count = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);
const encoded = z.string().regex(/^[\w-]{1,2048}$/, 'must be base64url');
const time = z.iso
  .datetime({ offset: true })
  .transform((text) => (text.startsWith('0001-') ? 0 : Date.parse(text)));
const flag = z.boolean().transform((value) => (value ? 1 : 0));

const passkey = z.object({
  cred_id: encoded,
  public_key: encoded,
  counter: z
    .int()
    .min(0)
    .max(2 ** 32 - 1),
  transports: z.array(z.string().max(32)).max(16),
  aaguid: z.string().max(64),
  backup_eligible: flag,
  backed_up: flag,
  type: z.enum(['passkey', 'security_key', 'platform']),
  friendly_name: z.string().max(500),
  usage_count: count,
  created_at: time,
  updated_at: time,
  last_login_at: time,
  proven: flag,
});

/** Fields of an exported user besides those of the Management API. */
const exported = z.object({
  login_count: count.optional(),
  updated_at: time.optional(),
  last_login_at: time.optional(),
  origin: z.enum(['signup', 'back_end', 'import']).optional(),
  email_proven_at: time.nullish(),
  phone_proven_at: time.nullish(),
  email_open: flag.optional(),
  phone_open: flag.optional(),
  open_metadata: z.string().max(10_000).nullish(),
  passkeys: z.array(passkey).max(1_000).default([]),
});

/** A user to write, with passkeys. */
export interface Arrival {
  user: Partial<NewUser> & { id: string };
  devices: Omit<DeviceRow, 'user_id' | 'app_id'>[];
}

/** How many users were imported so far, and the entry in the audit log. */
export interface Tally {
  users: number;
  entry?: string | undefined;
}

/** Reads all users of an app with their passkeys, one page at a time. */
export async function* exportUsers(
  { db }: Service,
  appId: string,
): AsyncGenerator<ReturnType<typeof exportUser>[]> {
  for (let last = ''; ; ) {
    const users: UserRow[] = await db
      .selectFrom('users')
      .selectAll()
      .where('app_id', '=', appId)
      .where('id', '>', last)
      .orderBy('id')
      .limit(batchSize)
      .execute();
    const newest = users.at(-1);
    if (!newest) return;
    const devices = await db
      .selectFrom('devices')
      .selectAll()
      .where('app_id', '=', appId)
      .where('user_id', '>', last)
      .where('user_id', '<=', newest.id)
      .execute();
    const owned = groupByUser(devices);
    yield users.map((user) => exportUser(user, owned.get(user.id) ?? []));
    last = newest.id;
  }
}

function groupByUser(devices: readonly DeviceRow[]): Map<string, DeviceRow[]> {
  const groups = new Map<string, DeviceRow[]>();
  for (const device of devices) {
    const own = groups.get(device.user_id);
    if (own) own.push(device);
    else groups.set(device.user_id, [device]);
  }
  return groups;
}

function exportUser(user: UserRow, devices: readonly DeviceRow[]) {
  const proven = (at: number | null) => (at === null ? null : wireTime(at));
  return {
    id: user.id,
    email: user.email ?? undefined,
    email_verified: user.email_verified === 1,
    phone: user.phone ?? undefined,
    phone_verified: user.phone_verified === 1,
    external_id: user.external_id,
    status: user.status,
    user_metadata: metadataOf(user),
    created_at: wireTime(user.created_at),
    updated_at: wireTime(user.updated_at),
    last_login_at: wireTime(user.last_login_at),
    login_count: user.login_count,
    origin: user.origin,
    email_proven_at: proven(user.email_proven_at),
    phone_proven_at: proven(user.phone_proven_at),
    email_open: user.email_open === 1,
    phone_open: user.phone_open === 1,
    open_metadata: user.open_metadata,
    passkeys: devices.map(({ app_id, user_id, id, ...device }) => ({
      ...device,
      transports: JSON.parse(device.transports),
      backup_eligible: device.backup_eligible === 1,
      backed_up: device.backed_up === 1,
      created_at: wireTime(device.created_at),
      updated_at: wireTime(device.updated_at),
      last_login_at: wireTime(device.last_login_at),
      proven: device.proven === 1,
    })),
  };
}

/**
 * Reads a record of an export or of the Management API. Public keys are not checked here, but at the first login.
 *
 * @throws TypeError if the record is invalid
 */
export function readArrival(service: Service, app: App, value: unknown): Arrival {
  try {
    const user = readRecord(service, app, userRecord.parse(value));
    const { passkeys, ...rest } = exported.parse(value);
    const given = Object.fromEntries(Object.entries(rest).filter(([, one]) => one !== undefined));
    return {
      user: { ...user, ...given, id: user.id ?? randomText() },
      devices: passkeys.map((one) => ({
        ...one,
        id: randomText(),
        transports: JSON.stringify(one.transports),
      })) as Arrival['devices'],
    };
  } catch (error) {
    throw new TypeError(faultOf(error));
  }
}

/**
 * Writes users and their passkeys in one transaction. Users whose ID exists are not changed, so that an interrupted import can be
 * repeated.
 *
 * @returns IDs written, IDs that existed, those of `written` whose passkeys were left out because another user has them, and the tally
 * for the next call. Of all other IDs, an address belongs to another user.
 */
export async function writeArrivals(
  service: Service,
  app: App,
  arrivals: readonly Arrival[],
  tally: Tally = { users: 0 },
) {
  const now = service.clock();
  return service.db.transaction().execute(async (trx) => {
    const rows = arrivals.map(({ user }) => ({ ...blankUser(app.id, now), ...user }));
    const inserted = await trx
      .insertInto('users')
      .values(rows)
      .onConflict((conflict) => conflict.doNothing())
      .returning('id')
      .execute();
    const written = new Set(inserted.map(({ id }) => id));
    const devices = arrivals
      .filter(({ user }) => written.has(user.id))
      .flatMap((one) => one.devices.map((device) => ({ ...device, app_id: app.id, user_id: one.user.id })));
    const stored = new Set<string>();
    for (let start = 0; start < devices.length; start += batchSize) {
      const page = await trx
        .insertInto('devices')
        .values(devices.slice(start, start + batchSize))
        .onConflict((conflict) => conflict.doNothing())
        .returning('id')
        .execute();
      for (const { id } of page) stored.add(id);
    }
    const missing = arrivals.flatMap(({ user }) => (written.has(user.id) ? [] : [user.id]));
    const known = missing.length
      ? await trx
          .selectFrom('users')
          .select('id')
          .where('app_id', '=', app.id)
          .where('id', 'in', missing)
          .execute()
      : [];
    return {
      written,
      existing: new Set(known.map(({ id }) => id)),
      incomplete: new Set(devices.filter(({ id }) => !stored.has(id)).map(({ user_id }) => user_id)),
      tally: await countImported(service, trx, app, tally, written.size),
    };
  });
}

/** Adds to the audit entry of an import, so that an import has one entry for all its transactions. */
async function countImported(
  service: Service,
  trx: Queries,
  app: App,
  { users: before, entry }: Tally,
  more: number,
): Promise<Tally> {
  const users = before + more;
  if (more === 0) return { users, entry };
  if (entry !== undefined) {
    await rewriteEntry(trx, entry, { users });
    return { users, entry };
  }
  const made = await record(service, trx, {
    type: 'users.imported',
    appId: app.id,
    client: service.operator,
    details: { users },
  });
  return { users, entry: made };
}
