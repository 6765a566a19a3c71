import { listRecentEvents } from '../events/recent.ts';
import type { Queries } from '../storage/database.ts';
import type { DeviceRow, UserRow } from '../storage/schema.ts';
import { browserName } from './browser.ts';
import type { Identifier } from './identifiers.ts';
import { listDevices } from './users.ts';
import type { ShownUser, WholeUser } from './whole.ts';

/** RFC 3339, UTC. A time that is not set is year 1, as in the original service. */
export function wireTime(milliseconds: number): string {
  return milliseconds ? new Date(milliseconds).toISOString() : '0001-01-01T00:00:00Z';
}

export function deviceView(row: WholeUser['devices'][number]) {
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

/**
 * Returns the user as a visitor who entered one address sees them: without the other address and without metadata.
 * All members of the protocol are present.
 */
export function strangerView(user: UserRow, devices: readonly DeviceRow[], { channel }: Identifier) {
  const other = channel === 'email' ? 'phone' : 'email';
  return { ...publicUserView(user, devices), [other]: '', [`${other}_verified`]: false, user_metadata: null };
}

/** Returns the user's own view, without logins and devices. */
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

export function listedUserView(user: ShownUser) {
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

/** Returns the user as the app's back end sees it, after a change in `queries`. */
export async function changedUserView(queries: Queries, user: UserRow) {
  const devices = await listDevices(queries, user.app_id, user.id);
  const events = await listRecentEvents(queries, user);
  return passageUserView({ ...user, devices, events });
}

/** Returns the user as the app's back end sees it. */
export function passageUserView({ devices, events, ...user }: WholeUser) {
  return {
    ...listedUserView(user),
    webauthn: devices.length > 0,
    webauthn_devices: devices.map(deviceView),
    webauthn_types: [...new Set(devices.map(({ type }) => type))],
    recent_events: events.map(eventView),
    social_connections: {},
  };
}

function eventView({ id, created_at, type, action, ip_addr, user_agent }: WholeUser['events'][number]) {
  const time = wireTime(created_at);
  return {
    id,
    created_at: time,
    completed_at: time,
    type,
    action,
    status: 'complete' as const,
    ip_addr,
    user_agent,
    user_agent_display: browserName(user_agent),
    social_login_type: null,
  };
}

export function metadataOf({ metadata }: Pick<UserRow, 'metadata'>): Record<string, unknown> | null {
  return metadata ? JSON.parse(metadata) : null;
}
