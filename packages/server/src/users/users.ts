import { WireError } from '../errors.ts';
import type { App, Client, Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { DeviceRow, EventRow, NewUser, UserRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';
import { browserName } from './browser.ts';
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

export async function findUserByIdentifier(
  queries: Queries,
  appId: string,
  { channel, value }: Identifier,
): Promise<UserRow | undefined> {
  return queries
    .selectFrom('users')
    .selectAll()
    .where('app_id', '=', appId)
    .where(channel, '=', value)
    .executeTakeFirst();
}

/** Adds a user, or returns `undefined` when an address of theirs is taken: two requests at once make one user. */
export async function insertUser(
  service: Service,
  queries: Queries,
  app: App,
  values: Partial<NewUser>,
): Promise<UserRow | undefined> {
  const now = service.clock();
  return queries
    .insertInto('users')
    .values({
      app_id: app.id,
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
      ...values,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
}

/** Returns the user of an address, and makes a pending one where there is none. */
export async function findOrInsertUser(
  service: Service,
  app: App,
  identifier: Identifier,
  values: Partial<NewUser> = {},
): Promise<UserRow> {
  const known = await findUserByIdentifier(service.db, app.id, identifier);
  if (known) return known;
  const made = await insertUser(service, service.db, app, {
    ...values,
    [identifier.channel]: identifier.value,
  });
  const user = made ?? (await findUserByIdentifier(service.db, app.id, identifier));
  if (!user) throw new WireError('user_not_found');
  return user;
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

function listRecentEvents(queries: Queries, user: UserRow): Promise<EventRow[]> {
  return queries
    .selectFrom('events')
    .selectAll()
    .where('app_id', '=', user.app_id)
    .where('user_id', '=', user.id)
    .orderBy('created_at', 'desc')
    .limit(10)
    .execute();
}

/** RFC 3339, UTC. A time that never was is year 1, as in the original service. */
function wireTime(milliseconds: number): string {
  return milliseconds ? new Date(milliseconds).toISOString() : '0001-01-01T00:00:00Z';
}

export function deviceView(row: DeviceRow) {
  return {
    id: row.id,
    cred_id: row.cred_id,
    user_id: row.user_id,
    friendly_name: row.friendly_name,
    type: row.type,
    usage_count: row.usage_count,
    created_at: wireTime(row.created_at),
    updated_at: wireTime(row.updated_at),
    last_login_at: wireTime(row.last_login_at),
    icons: { light: null, dark: null },
  };
}

/** Returns the user as visitors see it. */
export function publicUserView(user: UserRow, devices: readonly DeviceRow[]) {
  return {
    id: user.id,
    email: user.email ?? '',
    email_verified: user.email_verified === 1,
    phone: user.phone ?? '',
    phone_verified: user.phone_verified === 1,
    status: user.status,
    user_metadata: metadataOf(user),
    webauthn: devices.length > 0,
    webauthn_types: [...new Set(devices.map(({ type }) => type))],
  };
}

/** Returns the user as they see themselves. */
export async function currentUserView(queries: Queries, user: UserRow) {
  const devices = await listDevices(queries, user.app_id, user.id);
  return {
    ...publicUserView(user, devices),
    created_at: wireTime(user.created_at),
    updated_at: wireTime(user.updated_at),
    last_login_at: wireTime(user.last_login_at),
    login_count: user.login_count,
    social_connections: {},
    webauthn_devices: devices.map(deviceView),
  };
}

export function listedUserView(user: UserRow) {
  return {
    id: user.id,
    created_at: wireTime(user.created_at),
    updated_at: wireTime(user.updated_at),
    last_login_at: wireTime(user.last_login_at),
    email: user.email ?? '',
    email_verified: user.email_verified === 1,
    phone: user.phone ?? '',
    phone_verified: user.phone_verified === 1,
    external_id: user.external_id,
    login_count: user.login_count,
    status: user.status,
    user_metadata: metadataOf(user),
  };
}

/** Returns the user as the app's back end sees it. */
export async function passageUserView(queries: Queries, user: UserRow) {
  const devices = await listDevices(queries, user.app_id, user.id);
  const events = await listRecentEvents(queries, user);
  return {
    ...listedUserView(user),
    webauthn: devices.length > 0,
    webauthn_devices: devices.map(deviceView),
    webauthn_types: [...new Set(devices.map(({ type }) => type))],
    recent_events: events.map((event) => ({
      id: event.id,
      created_at: wireTime(event.created_at),
      completed_at: wireTime(event.created_at),
      type: event.type,
      action: event.action,
      status: 'complete' as const,
      ip_addr: event.ip_addr,
      user_agent: event.user_agent,
      user_agent_display: browserName(event.user_agent),
      social_login_type: null,
    })),
    social_connections: {},
  };
}

function metadataOf({ metadata }: UserRow): Record<string, unknown> | null {
  return metadata ? JSON.parse(metadata) : null;
}
