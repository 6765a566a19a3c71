/**
 * Values of options that commands filter by.
 *
 * @module
 */
import type { Queries } from '../storage/database.ts';
import { readEmail, readPhone } from '../users/identifiers.ts';

/** @throws TypeError unless it is a whole number from 1 to `most` */
export function readLimit(text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > most) throw new TypeError(`--limit must be a whole number, 1 to ${most}`);
  return limit;
}

const units: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Reads a time: a date (midnight UTC), a time with its zone, or how long ago it was.
 *
 * @returns Milliseconds since the epoch.
 * @throws TypeError naming the option
 */
export function readMoment(name: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const [, count, unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  if (count !== undefined) return now - Number(count) * (units[unit] ?? 0);
  const whole = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const time = whole ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) {
    throw new TypeError(
      `${name} must be a date such as 2026-01-31, a time such as 2026-01-31T12:00:00Z, or an age such as 30m, 24h or 7d`,
    );
  }
  return time;
}

/**
 * Finds the users that an option names, in one app or in all: by ID, even of a deleted user, or by a current address.
 *
 * @throws Error if no user has the address
 */
export async function readUsers(
  queries: Queries,
  text: string | undefined,
  appId: string | undefined,
): Promise<string[] | undefined> {
  if (text === undefined) return undefined;
  const email = text.includes('@') ? readEmail(text) : undefined;
  const phone = readPhone(text);
  if (!email && !phone) return [text];
  let users = queries
    .selectFrom('users')
    .select('id')
    .where(email ? 'email' : 'phone', '=', email ?? phone ?? '');
  if (appId !== undefined) users = users.where('app_id', '=', appId);
  const ids = (await users.execute()).map(({ id }) => id);
  if (ids.length === 0) {
    throw new Error(
      'No user has this address now: give the user ID if the user was deleted or changed the address',
    );
  }
  return ids;
}
