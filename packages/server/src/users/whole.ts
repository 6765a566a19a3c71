import { type CompiledQuery, type Kysely, sql } from 'kysely';
import { jsonArrayFrom as postgresArray } from 'kysely/helpers/postgres';
import { jsonArrayFrom as sqliteArray } from 'kysely/helpers/sqlite';
import type { Storage } from '../storage/database.ts';
import type { DeviceRow, EventRow, Schema, UserRow } from '../storage/schema.ts';

type ShownDevice = Omit<
  DeviceRow,
  'app_id' | 'public_key' | 'counter' | 'transports' | 'aaguid' | 'backup_eligible' | 'backed_up' | 'proven'
>;
type ShownEvent = Omit<EventRow, 'app_id' | 'user_id'>;

/** A user with everything that the back end sees. */
export interface WholeUser extends UserRow {
  devices: ShownDevice[];
  /** The newest ten. */
  events: ShownEvent[];
}

/** Back ends read users often: the query is built once for each database, and takes one round trip. */
const queries = new WeakMap<Kysely<Schema>, CompiledQuery>();

export async function findWholeUser(
  { db, kind }: Storage,
  appId: string,
  id: string,
): Promise<WholeUser | undefined> {
  let query = queries.get(db);
  if (!query) {
    query = build(db, kind);
    queries.set(db, query);
  }
  const { rows } = await db.executeQuery<UserRow & { devices: unknown; events: unknown }>({
    ...query,
    parameters: [appId, id],
  });
  const [row] = rows;
  return row && { ...row, devices: read(row.devices), events: read(row.events) };
}

/** PostgreSQL's driver parses JSON; SQLite returns text. */
function read<Row>(value: unknown): Row[] {
  return typeof value === 'string' ? JSON.parse(value) : (value as Row[]);
}

function build(db: Kysely<Schema>, kind: Storage['kind']): CompiledQuery {
  const jsonArrayFrom = kind === 'postgres' ? postgresArray : sqliteArray;
  return db
    .selectFrom('users')
    .selectAll('users')
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
    .where('users.app_id', '=', '')
    .where('users.id', '=', '')
    .compile();
}
