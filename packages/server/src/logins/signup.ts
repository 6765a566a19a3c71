import { WireError } from '../errors.ts';
import type { App, Service } from '../service.ts';
import type { UserRow } from '../storage/schema.ts';
import type { Identifier } from '../users/identifiers.ts';
import { findOrInsertUser, findUserByIdentifier, publicUserView } from '../users/users.ts';

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
  const user = await findOrInsertUser(service, app, identifier, { metadata });
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

/**
 * Returns a user that does not exist, the same one each time: what strict look-ups answer for an address that has an account, so
 * that it looks like one that has none.
 */
export function decoyUser(service: Service, app: App, { channel, value }: Identifier) {
  const id = decoyId(service, app, value);
  return publicUserView(
    {
      app_id: app.id,
      id,
      email: null,
      phone: null,
      [channel]: value,
      email_verified: 0,
      phone_verified: 0,
      external_id: '',
      status: 'pending',
      login_count: 0,
      metadata: null,
      created_at: 0,
      updated_at: 0,
      last_login_at: 0,
    } as UserRow,
    [],
  );
}

function decoyId(service: Service, app: App, value: string): string {
  const text = service.secrets.hash('decoy', app.id, value) + service.secrets.hash('decoy', value, app.id);
  return text.replace(/[^A-Za-z0-9]/g, '').slice(0, 24);
}

/** Passkeys that an unknown address pretends to have, the same ones each time. WebAuthn §14.6.2. */
export function decoyCredentials(service: Service, app: App, value: string) {
  return [
    {
      cred_id: service.secrets.hash('decoy', 'credential', app.id, value),
      transports: '["internal","hybrid"]',
    },
  ];
}
