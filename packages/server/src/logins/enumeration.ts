import { WireError } from '../errors.ts';
import type { App, Service } from '../service.ts';
import type { UserRow } from '../storage/schema.ts';
import type { Identifier } from '../users/identifiers.ts';
import { findUserByIdentifier, listDevices } from '../users/users.ts';
import { strangerView } from '../users/views.ts';
import { type Entered, isUnfinishedSignup, registerUser, requireKnownUser } from './signup.ts';

/**
 * Returns who a code or link is for. Strictly, registering an address that has an account logs its owner in, and logging in to none
 * sends nothing and says so to nobody: then there is no user.
 *
 * @throws {@link WireError} as `registerUser` and `requireKnownUser` do; strictly only `operation_not_allowed`
 */
export async function resolveUser(
  service: Service,
  app: App,
  identifier: Identifier,
  action: 'register' | 'login',
): Promise<UserRow | undefined> {
  if (!service.options.strict) {
    return action === 'register'
      ? registerUser(service, app, identifier)
      : requireKnownUser(service, app, identifier);
  }
  const known = await findUserByIdentifier(service.db, app.id, identifier);
  if (known?.status === 'inactive') return undefined;
  return known ?? (action === 'register' ? registerUser(service, app, identifier) : undefined);
}

/** Looks a user up for a visitor. Strictly, nobody is ever found. */
export async function lookUpUser(
  service: Service,
  app: App,
  identifier: Identifier,
): Promise<UserRow | undefined> {
  return service.options.strict ? undefined : findUserByIdentifier(service.db, app.id, identifier);
}

/**
 * Returns who a visitor registers as, before the address is proven. Strictly, it is a decoy where the address has an account.
 *
 * @throws {@link WireError} as `registerUser` does
 */
export async function resolveRegistrant(
  service: Service,
  app: App,
  identifier: Identifier,
  entered?: Entered,
): Promise<{ user: UserRow; decoy: boolean }> {
  if (service.options.strict) {
    const known = await findUserByIdentifier(service.db, app.id, identifier);
    if (known && !isUnfinishedSignup(known))
      return { user: decoyUser(service, app, identifier), decoy: true };
  }
  return { user: await registerUser(service, app, identifier, entered), decoy: false };
}

/**
 * Returns who may answer a login by passkey, with which ones, and the user as the visitor may see them. Strictly, the answer for an
 * address looks the same whether it is known or not, with passkeys or without.
 *
 * @throws {@link WireError} `user_not_found`, `user_not_active` and `user_has_no_passkeys`, none of them strictly
 */
export async function resolvePasskeys(service: Service, app: App, identifier: Identifier) {
  if (service.options.strict) return resolvePasskeysAlike(service, app, identifier);
  const user = await requireKnownUser(service, app, identifier);
  const devices = await listDevices(service.db, app.id, user.id);
  if (!devices.length) throw new WireError('user_has_no_passkeys');
  return { userId: user.id, credentials: devices, user: strangerView(user, devices, identifier) };
}

async function resolvePasskeysAlike(service: Service, app: App, identifier: Identifier) {
  const user = await findUserByIdentifier(service.db, app.id, identifier);
  const devices = await listDevices(service.db, app.id, user?.id ?? '');
  const credentials = devices.length ? devices : decoyCredentials(service, app, identifier.value);
  return { userId: user && devices.length ? user.id : null, credentials, user: null };
}

/**
 * Returns a user that does not exist, the same one each time: what strict look-ups answer for an address that has an account, so
 * that it looks like one that has none.
 */
function decoyUser(service: Service, app: App, { channel, value }: Identifier): UserRow {
  return {
    app_id: app.id,
    id: decoyId(service, app, value),
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
    origin: 'signup',
    email_proven_at: null,
    phone_proven_at: null,
    email_open: 1,
    phone_open: 0,
    open_metadata: null,
  };
}

function decoyId(service: Service, app: App, value: string): string {
  const text = service.secrets.hash('decoy', app.id, value) + service.secrets.hash('decoy', value, app.id);
  return text.replace(/[^A-Za-z0-9]/g, '').slice(0, 24);
}

/** Passkeys that an unknown address pretends to have, the same ones each time. WebAuthn §14.6.2. */
function decoyCredentials(service: Service, app: App, value: string) {
  return [
    {
      cred_id: service.secrets.hash('decoy', 'credential', app.id, value),
      transports: '["internal","hybrid"]',
    },
  ];
}
