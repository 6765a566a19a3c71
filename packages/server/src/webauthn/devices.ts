import { sql } from 'kysely';
import { WireError } from '../errors.ts';
import { record, report } from '../events/record.ts';
import { endSessions } from '../logins/endings.ts';
import type { App, Client, Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { DeviceRow, DeviceType, HandshakeRow, UserRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';
import { prepare, prepareOne, type Statement } from '../storage/statements.ts';
import { browserName } from '../users/browser.ts';
import { expectationOf } from './handshakes.ts';
import type { Assertion, Attestation, NewCredential, Use } from './verify.ts';

/** Loaded on demand: the attestation formats would take most of the startup time. */
const loadVerifier = () => import('./verify.ts');

/**
 * Verifies the answer to a registration. The reason of a rejection goes only to the log.
 *
 * @throws {@link WireError} `invalid_request`
 */
export async function requireAttestation(
  service: Service,
  app: App,
  handshake: HandshakeRow | undefined,
  response: Attestation,
): Promise<NewCredential> {
  if (!handshake) throw unknownHandshake();
  try {
    const { verifyAttestation } = await loadVerifier();
    return await verifyAttestation(response, expectationOf(service, app, handshake));
  } catch (error) {
    logRefusal(service, app, 'registration', error);
    throw new WireError('invalid_request', 'handshake_response: could not be verified.');
  }
}

export function unknownHandshake(): WireError {
  return new WireError('invalid_request', 'handshake: is unknown, used or expired.');
}

/**
 * Stores a new passkey.
 *
 * @param proven 1 if the session that adds it has proven an address. @throws {@link WireError} `invalid_request` if
 * it is registered already
 */
export async function insertDevice(
  service: Service,
  trx: Queries,
  app: App,
  user: UserRow,
  credential: NewCredential,
  client: Client,
  proven: DeviceRow['proven'] = 0,
): Promise<DeviceRow> {
  const now = service.clock();
  const row = await trx
    .insertInto('devices')
    .values({
      id: randomText(),
      app_id: app.id,
      user_id: user.id,
      cred_id: credential.id,
      public_key: Buffer.from(credential.publicKey).toString('base64url'),
      counter: credential.counter,
      transports: JSON.stringify(credential.transports),
      aaguid: credential.aaguid,
      backup_eligible: credential.backupEligible ? 1 : 0,
      backed_up: credential.backedUp ? 1 : 0,
      type: typeOf(credential),
      friendly_name: browserName(client.userAgent) || 'Passkey',
      usage_count: 1,
      created_at: now,
      updated_at: now,
      last_login_at: now,
      proven,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new WireError('invalid_request', 'handshake_response: could not be verified.');
  await record(service, trx, {
    type: 'webauthn.register.completed',
    appId: app.id,
    userId: user.id,
    client,
    details: { passkey: row.id },
  });
  return row;
}

/** Deletes a passkey, and ends the sessions that it opened. The user must be locked. @returns False if there is no such passkey. */
export async function deleteDevice(trx: Queries, app: App, userId: string, id: string): Promise<boolean> {
  const row = await trx
    .deleteFrom('devices')
    .where('app_id', '=', app.id)
    .where('user_id', '=', userId)
    .where('id', '=', id)
    .returning('id')
    .executeTakeFirst();
  if (!row) return false;
  await endSessions(trx, app.id, userId, { deviceId: id });
  return true;
}

/**
 * Verifies the answer to a login.
 *
 * @throws {@link WireError} `webauthn_login_failed`, or `discoverable_login_failed` where no identifier was given
 */
export async function requireAssertion(
  service: Service,
  app: App,
  handshake: HandshakeRow | undefined,
  found: DeviceRow | undefined,
  response: Assertion,
  client: Client,
): Promise<{ device: DeviceRow; use: Use }> {
  const discoverable = !handshake || (handshake.user_id === null && handshake.allowed === null);
  try {
    if (!handshake) throw new Error('Handshake is unknown, used or expired');
    const device = requireDevice(handshake, found, response);
    const credential = {
      id: device.cred_id,
      publicKey: Buffer.from(device.public_key, 'base64url'),
      counter: device.counter,
    };
    const { verifyAssertion } = await loadVerifier();
    const use = await verifyAssertion(response, credential, expectationOf(service, app, handshake));
    logChanges(service, device, use, client);
    return { device, use };
  } catch (error) {
    logRefusal(service, app, 'login', error);
    throw new WireError(discoverable ? 'discoverable_login_failed' : 'webauthn_login_failed');
  }
}

/** Finds a passkey by its credential ID. */
export const deviceOf = prepareOne((db, { appId, credentialId }: { appId: string; credentialId: string }) =>
  db.selectFrom('devices').selectAll().where('app_id', '=', appId).where('cred_id', '=', credentialId),
);

/** @throws Error if the passkey may not answer */
function requireDevice(
  { user_id, allowed }: HandshakeRow,
  device: DeviceRow | undefined,
  { id, response }: Assertion,
): DeviceRow {
  if (!device) throw new Error('Credential is unknown');
  if (allowed && !(JSON.parse(allowed) as string[]).includes(id))
    throw new Error('Credential was not asked for');
  if (user_id !== null && device.user_id !== user_id) throw new Error('Credential is of another user');
  // Passage.js sends an empty string if the authenticator gave no handle.
  const handle = response.userHandle || undefined;
  if (handle === undefined && user_id === null) throw new Error('User handle is missing');
  if (handle !== undefined && !isHandleOf(device.user_id, handle))
    throw new Error('User handle is of another user');
  return device;
}

/** Some clients use the text of `user.id` as the handle, others decode it first. So the handle can be encoded once, twice or not at all. */
function isHandleOf(userId: string, handle: string): boolean {
  const once = Buffer.from(userId).toString('base64url');
  const twice = Buffer.from(once).toString('base64url');
  return handle === userId || handle === once || handle === twice;
}

interface UseValues {
  appId: string;
  id: string;
  counter: number;
  /** Counters that are stored must be below this. */
  limit: number;
  eligible: DeviceRow['backup_eligible'];
  backedUp: DeviceRow['backed_up'];
  type: DeviceType;
  now: number;
}

const storeUse = prepare((db, { appId, id, counter, limit, eligible, backedUp, type, now }: UseValues) =>
  db
    .updateTable('devices')
    .set((eb) => ({
      counter,
      backup_eligible: eligible,
      backed_up: backedUp,
      type,
      usage_count: eb('usage_count', '+', sql.lit(1)),
      last_login_at: now,
      updated_at: now,
    }))
    .where('app_id', '=', appId)
    .where('id', '=', id)
    .where('counter', '<', limit)
    .returning('id'),
);

/** Stores the counter and flags of a login. Has no row if the passkey was deleted, or another login of it came first. */
export function deviceUse(
  service: Service,
  device: DeviceRow,
  { counter, backupEligible, backedUp }: Use,
): Statement<{ id: string }> {
  return storeUse({
    appId: device.app_id,
    id: device.id,
    counter,
    // Synced passkeys may have several counters, and a passkey without a counter stays at 0.
    limit: backupEligible ? Number.MAX_SAFE_INTEGER : Math.max(counter, 1),
    eligible: backupEligible ? 1 : 0,
    backedUp: backedUp ? 1 : 0,
    type: typeOf({ backupEligible, transports: JSON.parse(device.transports) }),
    now: service.clock(),
  });
}

/** Every credential is created as discoverable, so front ends call all of them passkeys except roaming keys. */
function typeOf({
  backupEligible,
  transports,
}: Pick<NewCredential, 'backupEligible' | 'transports'>): DeviceType {
  const roaming =
    transports.length > 0 && transports.every((transport) => /^(usb|nfc|ble|smart-card)$/.test(transport));
  return roaming && !backupEligible ? 'security_key' : 'passkey';
}

function logChanges(service: Service, device: DeviceRow, use: Use, client: Client): void {
  const about = { appId: device.app_id, userId: device.user_id, client };
  if (use.counterWentBack)
    report(service, { ...about, type: 'passkey.counter_went_back', details: { device: device.id } });
  const { backupEligible, backedUp } = use;
  if (backupEligible !== (device.backup_eligible === 1) || backedUp !== (device.backed_up === 1)) {
    const details = { device: device.id, backupEligible, backedUp };
    report(service, { ...about, type: 'passkey.backup_changed', details });
  }
}

function logRefusal(service: Service, app: App, ceremony: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : 'unknown';
  // Error texts of the verifier quote what the client sent.
  const text = reason.replace(/"[^"]*"|[\p{Cc}\s]+/gu, ' ').slice(0, 200);
  service.options.logger.warn({ app: app.id, ceremony, reason: text }, 'Passkey ceremony refused');
}
