import { BoundedCache, type Cached } from './cache.ts';
import type { PassageUser } from './models.ts';

/** Wire names in camelCase: converting a name takes longer than all other work for a field. */
const names = new BoundedCache<Cached & { camel: string }>(256);

/**
 * Turns a value of the wire into ours: camelCase names, `…_at` as dates. Keys of `user_metadata` are the app's own and
 * stay as they are.
 *
 * @internal
 */
export function fromWire(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromWire);
  if (typeof value !== 'object' || value === null) return value;
  // A loop, because `Object.fromEntries` takes three times as long. No name in camel case is `__proto__`.
  const made: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    if (name === 'user_metadata') made.userMetadata = member;
    else made[camelCase(name)] = name.endsWith('_at') ? readDate(member) : fromWire(member);
  }
  return made;
}

/** Reads a user; absent or null lists are empty ones (docs/protocol.md §10.2). @internal */
export function readUser(wire: object): PassageUser {
  const user = fromWire(wire) as PassageUser;
  return Object.assign(user, {
    userMetadata: user.userMetadata ?? null,
    webauthnDevices: user.webauthnDevices ?? [],
    webauthnTypes: user.webauthnTypes ?? [],
    recentEvents: user.recentEvents ?? [],
    socialConnections: user.socialConnections ?? {},
  });
}

function camelCase(name: string): string {
  const known = names.get(name);
  if (known) return known.camel;
  const camel = name.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
  names.set(name, { camel });
  return camel;
}

/** The name of a field or operator on the wire. @internal */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Year 1 is Go's zero time and means "never" (docs/protocol.md §1.4). */
function readDate(value: unknown): Date | null {
  const date = new Date(typeof value === 'string' ? value : Number.NaN);
  return Number.isNaN(date.getTime()) || date.getUTCFullYear() <= 1 ? null : date;
}
