import { sql } from 'kysely';
import { jsonArrayFrom as postgresArray } from 'kysely/helpers/postgres';
import { jsonArrayFrom as sqliteArray } from 'kysely/helpers/sqlite';
import type { Storage } from '../storage/database.ts';
import type { DeviceRow, EventRow, UserRow } from '../storage/schema.ts';
import { prepareOne, run } from '../storage/statements.ts';

type ShownDevice = Omit<
  DeviceRow,
  'app_id' | 'public_key' | 'counter' | 'transports' | 'aaguid' | 'backup_eligible' | 'backed_up' | 'proven'
>;
type ShownEvent = Omit<EventRow, 'app_id' | 'user_id'>;

const shown = [
  'id',
  'created_at',
  'updated_at',
  'last_login_at',
  'email',
  'email_verified',
  'phone',
  'phone_verified',
  'external_id',
  'login_count',
  'status',
  'metadata',
] as const;

/** What lists show of a user. */
export type ShownUser = Pick<UserRow, (typeof shown)[number]>;

/** A user with everything that the back end sees. */
export interface WholeUser extends ShownUser {
  devices: ShownDevice[];
  /** The newest ten. */
  events: ShownEvent[];
}

/** Finds a user. Back ends do it often, so it takes one statement. */
export async function findWholeUser(
  { db, kind }: Storage,
  appId: string,
  id: string,
): Promise<WholeUser | undefined> {
  const [row] = await run(db, find[kind]({ appId, id }));
  return row && { ...row, devices: read(row.devices), events: read(row.events) };
}

/** PostgreSQL's driver parses JSON; SQLite returns text. */
function read<Row>(value: unknown): Row[] {
  return typeof value === 'string' ? JSON.parse(value) : (value as Row[]);
}

const find = { sqlite: prepareFind(sqliteArray), postgres: prepareFind(postgresArray) };

function prepareFind(jsonArrayFrom: typeof sqliteArray | typeof postgresArray) {
  return prepareOne((db, { appId, id }: { appId: string; id: string }) =>
    db
      .selectFrom('users')
      .select(shown)
      .select((users) => [
        jsonArrayFrom(
          users
            .selectFrom('devices')
            .select([
              'devices.id',
              'devices.cred_id',
              'devices.user_id',
              'devices.friendly_name',
              'devices.type',
              'devices.usage_count',
              'devices.created_at',
              'devices.updated_at',
              'devices.last_login_at',
            ])
            .whereRef('devices.app_id', '=', 'users.app_id')
            .whereRef('devices.user_id', '=', 'users.id')
            .orderBy('devices.created_at')
            .orderBy('devices.id'),
        ).as('devices'),
        jsonArrayFrom(
          users
            .selectFrom('events')
            .select([
              'events.id',
              'events.type',
              'events.action',
              'events.ip_addr',
              'events.user_agent',
              'events.created_at',
            ])
            .whereRef('events.app_id', '=', 'users.app_id')
            .whereRef('events.user_id', '=', 'users.id')
            .orderBy('events.created_at', 'desc')
            .limit(sql.lit(10)),
        ).as('events'),
      ])
      .where('users.app_id', '=', appId)
      .where('users.id', '=', id),
  );
}
