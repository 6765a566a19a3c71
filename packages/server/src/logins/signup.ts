import { WireError } from '../errors.ts';
import type { App, Service } from '../service.ts';
import type { UserRow } from '../storage/schema.ts';
import type { Identifier } from '../users/identifiers.ts';
import { findOrInsertUser, findUserByIdentifier } from '../users/users.ts';

/** @throws {@link WireError} `operation_not_allowed` */
export function requireMethod(app: App, method: 'passkeys' | 'otp' | 'magicLink'): void {
  if (!app.settings.authMethods[method].enabled) throw new WireError('operation_not_allowed');
}

/**
 * Returns the user that a visitor registers as, and makes a pending one where there is none.
 *
 * @throws {@link WireError} when the address belongs to somebody who has logged in, or sign-up is closed
 */
export async function registerUser(
  service: Service,
  app: App,
  identifier: Identifier,
  metadata: string | null = null,
): Promise<UserRow> {
  requireSignup(app);
  const user = await findOrInsertUser(service, app, identifier, { origin: 'signup', metadata });
  if (user.status === 'inactive') throw new WireError('user_not_active');
  // The iOS client compares this text.
  if (user.login_count > 0 || user.status === 'active')
    throw new WireError('invalid_request', 'user: already exists.');
  return user;
}

export function requireSignup(app: App): void {
  // The official front end looks for the first two words.
  if (!app.settings.publicSignup)
    throw new WireError('operation_not_allowed', 'Public signup is disabled for this app');
}

/**
 * Returns who a login is for.
 *
 * @throws {@link WireError} `user_not_found`, `user_not_active`
 */
export async function requireKnownUser(service: Service, app: App, identifier: Identifier): Promise<UserRow> {
  const user = await findUserByIdentifier(service.db, app.id, identifier);
  if (!user) throw new WireError('user_not_found');
  if (user.status === 'inactive') throw new WireError('user_not_active');
  return user;
}

/** True when the address that the user registers with has been proven, or need not be. */
export function isProven({ settings }: App, user: UserRow): boolean {
  if (!settings.requireIdentifierVerification) return true;
  return (
    (user.email === null || user.email_verified === 1) && (user.phone === null || user.phone_verified === 1)
  );
}
