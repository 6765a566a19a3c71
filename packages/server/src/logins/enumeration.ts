import { setTimeout as delay } from 'node:timers/promises';
import { WireError } from '../errors.ts';
import type { App, Client, Service } from '../service.ts';
import type { DeviceRow, UserRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';
import type { Identifier } from '../users/identifiers.ts';
import { createUser, findUserByIdentifier, listDevices } from '../users/users.ts';
import { strangerView } from '../users/views.ts';
import {
  type Entered,
  isUnfinishedSignup,
  registerUser,
  replaceMetadata,
  requireKnown,
  requireKnownUser,
  requireSignup,
} from './signup.ts';

/**
 * Returns the user of a code or link. With strict enumeration, registering a known address logs its owner in, and a
 * login to an unknown address sends nothing and has no user.
 *
 * @throws {@link WireError} like `registerUser` and `requireKnownUser`; with strict enumeration only `operation_not_allowed`
 */
export async function resolveUser(
  service: Service,
  app: App,
  client: Client,
  identifier: Identifier,
  action: 'register' | 'login',
): Promise<UserRow | undefined> {
  if (!service.options.strict) {
    return action === 'register'
      ? registerUser(service, app, client, identifier)
      : requireKnownUser(service, app, identifier);
  }
  const user =
    action === 'register'
      ? await registerAlike(service, app, client, identifier)
      : await findUserByIdentifier(service.db, app.id, identifier);
  return user?.status === 'inactive' ? undefined : user;
}

/** Looks up a user for a visitor. With strict enumeration, it finds nobody. */
export async function lookUpUser(
  service: Service,
  app: App,
  identifier: Identifier,
): Promise<UserRow | undefined> {
  return service.options.strict ? undefined : findUserByIdentifier(service.db, app.id, identifier);
}

/**
 * Returns the user that a visitor registers as, before the address is proven. With strict enumeration, a known
 * address gets a decoy.
 *
 * @throws {@link WireError} like `registerUser`
 */
export async function resolveRegistrant(
  service: Service,
  app: App,
  client: Client,
  identifier: Identifier,
  entered?: Entered,
): Promise<{ user: UserRow; decoy: boolean }> {
  if (service.options.strict) {
    const user = await registerAlike(service, app, client, identifier, entered);
    const decoy = !isUnfinishedSignup(user);
    return { user: decoy ? decoyUser(service, app, identifier) : user, decoy };
  }
  return { user: await registerUser(service, app, client, identifier, entered), decoy: false };
}

/**
 * Returns the user of an address, and creates a pending one if there is none. Either way the same statements run and
 * something is written, so that the time reveals nothing.
 *
 * @throws {@link WireError} `operation_not_allowed`
 */
async function registerAlike(
  service: Service,
  app: App,
  client: Client,
  identifier: Identifier,
  entered?: Entered,
): Promise<UserRow> {
  requireSignup(app);
  const { channel, value } = identifier;
  return service.db.transaction().execute(async (trx) => {
    const values = { origin: 'signup', ...entered, [channel]: value, [`${channel}_open`]: 1 } as const;
    const made = await createUser(service, trx, app, client, values);
    // As much work as recording a new user.
    const row = { id: `decoy ${randomText()}`, count: 1, resets_at: service.clock() };
    if (!made) await trx.insertInto('limits').values(row).execute();
    const user = await findUserByIdentifier(trx, app.id, identifier);
    if (!user) throw new WireError('user_not_found');
    if (entered) await replaceMetadata(service, trx, user, entered, client);
    return user;
  });
}

/**
 * Returns whose passkeys may answer a login, which ones, and the user as visitors may see them. With strict
 * enumeration, the answer looks the same whether or not the address is known and has passkeys.
 *
 * @throws {@link WireError} `user_not_found`, `user_not_active` and `user_has_no_passkeys`; none of them with strict enumeration
 */
export async function resolvePasskeys(
  service: Service,
  app: App,
  identifier: Identifier,
  user: UserRow | undefined,
  devices: readonly DeviceRow[],
) {
  if (service.options.strict) return resolvePasskeysAlike(service, app, identifier, user, devices);
  requireKnown(user);
  if (!devices.length) throw new WireError('user_has_no_passkeys');
  return { userId: user.id, credentials: devices, user: strangerView(user, devices, identifier) };
}

async function resolvePasskeysAlike(
  service: Service,
  app: App,
  identifier: Identifier,
  user: UserRow | undefined,
  devices: readonly DeviceRow[],
) {
  // Always read, so that a decoy takes as long as a real user.
  const decoys = await decoyCredentials(service, app, identifier.value);
  const credentials = devices.length ? devices : decoys;
  return { userId: user && devices.length ? user.id : null, credentials, user: null };
}

/**
 * Returns a user that does not exist, the same one each time. Strict look-ups return it for a known address, so that
 * it looks unknown.
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
    ended_at: 0,
  };
}

function decoyId(service: Service, app: App, value: string): string {
  const text = service.secrets.hash('decoy', app.id, value) + service.secrets.hash('decoy', value, app.id);
  return text.replace(/[^A-Za-z0-9]/g, '').slice(0, 24);
}

/**
 * Invented passkeys of an unknown address, the same ones each time (WebAuthn Level 3 §14.6.2): as many as some user
 * of the app
 * has, with IDs as long and the same transports. The address determines that user, so that decoys differ from each other as users do.
 */
async function decoyCredentials(service: Service, app: App, value: string) {
  const model = await listDevices(service.db, app.id, await findModel(service, app, value));
  const looks = model.length ? model : [{ cred_id: 'x'.repeat(43), transports: '["internal","hybrid"]' }];
  return looks.map(({ cred_id, transports }, index) => ({
    cred_id: decoyText(service, app, value, index, cred_id.length),
    transports,
  }));
}

/** User IDs are random, so the next ID after a random text belongs to a random user. It mostly stays the same when users are created or deleted. */
async function findModel(service: Service, app: App, value: string): Promise<string> {
  const users = service.db
    .selectFrom('devices')
    .select('user_id')
    .where('app_id', '=', app.id)
    .orderBy('user_id')
    .limit(1);
  const next = await users.where('user_id', '>=', decoyId(service, app, `model ${value}`)).executeTakeFirst();
  const first = await users.executeTakeFirst();
  return (next ?? first)?.user_id ?? '';
}

/** Base64url of the given length. */
function decoyText(service: Service, app: App, value: string, index: number, length: number): string {
  let text = '';
  for (let part = 0; text.length < length; part++)
    text += service.secrets.hash('decoy', 'credential', app.id, `${index}`, `${part}`, value);
  // Encoders set the unused bits of the last letter to 0.
  return Buffer.from(text.slice(0, length), 'base64url').toString('base64url');
}

/** Minimum time of an answer with strict enumeration, and the maximum random delay on top, in milliseconds. */
const [leastTime, mostChance] = [50, 25];

/**
 * Does some work. With strict enumeration, a random delay hides its duration: known and unknown addresses run the same
 * statements, but the database takes different times for them. Under load, when the work takes longer than the minimum,
 * differences can show again.
 */
export async function levelTime<T>(service: Service, work: () => Promise<T>): Promise<T> {
  if (!service.options.strict) return work();
  const enough = delay(leastTime + Math.random() * mostChance);
  try {
    return await work();
  } finally {
    await enough;
  }
}
