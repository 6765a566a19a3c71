import { randomBytes } from 'node:crypto';
import { type App, rpIdOf, type Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { Ceremony, DeviceRow, HandshakeRow, UserRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';

/** How long a browser may take, and how long its answer is accepted, in milliseconds. */
const timeout = 120_000;
const lifetime = 300_000;

/** Algorithms offered, best first: ES256, EdDSA with Ed25519, RS256, ES384, ES512. */
export const algorithms = [-7, -8, -257, -35, -36];

/** What an answer is checked against. */
export interface Expectation {
  /** Says whether the challenge is the one that was sent. */
  challenge: (challenge: string) => boolean;
  origins: string[];
  rpId: string;
  userVerification: 'required' | 'preferred';
}

export interface Handshake {
  id: string;
  challenge: { publicKey: Record<string, unknown> };
}

interface Registrant {
  id: string;
  /** Email address or phone number. */
  name: string;
  /** Session that adds a passkey. The answer must come from the same one. */
  sessionId?: string;
}

export type Attachment = 'platform' | 'cross-platform' | 'any';

/** Begins a registration: `register` for a visitor, `add` for somebody logged in. */
export async function startRegistration(
  service: Service,
  app: App,
  ceremony: 'register' | 'add',
  registrant: Registrant & { decoy?: boolean },
  devices: readonly DeviceRow[],
  attachment: Attachment = 'platform',
): Promise<Handshake> {
  const { challenge, bytes } = makeChallenge();
  const { generateRegistrationOptions } = await import('@simplewebauthn/server');
  const publicKey = await generateRegistrationOptions({
    rpName: app.settings.name,
    rpID: rpIdOf(app),
    userID: Uint8Array.from(Buffer.from(registrant.id)),
    userName: registrant.name,
    userDisplayName: registrant.name,
    challenge: bytes,
    timeout,
    attestationType: 'none',
    excludeCredentials: devices.map(descriptor),
    authenticatorSelection: {
      // Discoverable, so that logging in needs no identifier.
      residentKey: 'required',
      userVerification: app.settings.userVerification,
      ...(attachment !== 'any' && { authenticatorAttachment: attachment }),
    },
    supportedAlgorithmIDs: algorithms,
  });
  const user_id = registrant.decoy ? null : registrant.id;
  const session_id = registrant.sessionId ?? null;
  return keep(service, app, { ceremony, challenge, user_id, allowed: null, session_id }, publicKey);
}

/** Begins a login, for one user or for any discoverable passkey. */
export async function startLogin(
  service: Service,
  app: App,
  userId: string | null,
  credentials: readonly Pick<DeviceRow, 'cred_id' | 'transports'>[],
): Promise<Handshake> {
  const { challenge, bytes } = makeChallenge();
  const { generateAuthenticationOptions } = await import('@simplewebauthn/server');
  const publicKey = await generateAuthenticationOptions({
    rpID: rpIdOf(app),
    challenge: bytes,
    timeout,
    userVerification: app.settings.userVerification,
    ...(credentials.length && { allowCredentials: credentials.map(descriptor) }),
  });
  const allowed = credentials.length ? JSON.stringify(credentials.map(({ cred_id }) => cred_id)) : null;
  return keep(
    service,
    app,
    { ceremony: 'login', challenge, user_id: userId, allowed, session_id: null },
    publicKey,
  );
}

/**
 * Uses a handshake up, whether its answer is right or wrong: there is no second try with the same challenge. Its row
 * stays, so that it is noticed if the ceremony is ended during the verification.
 *
 * @returns The handshake, or `undefined` when it is unknown, used, expired, of another app or of another ceremony.
 */
export async function takeHandshake(
  service: Service,
  app: App,
  ceremony: Ceremony,
  id: string,
): Promise<HandshakeRow | undefined> {
  const row = await service.db
    .updateTable('handshakes')
    // A negative time is expired by any clock. The row is deleted when it would have expired.
    .set((eb) => ({ expires_at: eb(eb.val(0), '-', eb.ref('expires_at')) }))
    .where('id_hash', '=', service.secrets.hash('handshake', id))
    .where('app_id', '=', app.id)
    .where('expires_at', '>', service.clock())
    .returningAll()
    .executeTakeFirst();
  return row?.ceremony === ceremony ? row : undefined;
}

/** Ends a ceremony after a valid answer. The user must be locked. @returns False if it was ended before. */
export async function endHandshake(trx: Queries, handshake: HandshakeRow | undefined): Promise<boolean> {
  const { numDeletedRows } = await trx
    .deleteFrom('handshakes')
    .where('id_hash', '=', handshake?.id_hash ?? '')
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

/**
 * Whether all that was pending of a user was ended after a login was begun. One without an identifier is nobody's until its answer, so
 * that the end could not delete it. An end later than any ceremony of today expires was written while a clock was ahead.
 */
export function isOutlived({ clock }: Service, { expires_at }: HandshakeRow, { ended_at }: UserRow): boolean {
  // Of a handshake that was used the time is below zero.
  const begunAt = Math.abs(expires_at) - lifetime;
  return begunAt < ended_at && ended_at <= clock() + lifetime;
}

/** Returns what the answer to a handshake is checked against. */
export function expectationOf(service: Service, app: App, row: HandshakeRow): Expectation {
  const { authOrigin, additionalAuthOrigins, userVerification } = app.settings;
  return {
    challenge: (challenge) => service.secrets.hash('challenge', challenge) === row.challenge_hash,
    origins: [authOrigin, ...additionalAuthOrigins],
    rpId: rpIdOf(app),
    userVerification,
  };
}

function makeChallenge() {
  const bytes = Uint8Array.from(randomBytes(32));
  return { bytes, challenge: Buffer.from(bytes).toString('base64url') };
}

async function keep(
  service: Service,
  app: App,
  {
    challenge,
    ...row
  }: Pick<HandshakeRow, 'ceremony' | 'user_id' | 'allowed' | 'session_id'> & { challenge: string },
  publicKey: object,
): Promise<Handshake> {
  const id = randomText();
  await service.db
    .insertInto('handshakes')
    .values({
      ...row,
      id_hash: service.secrets.hash('handshake', id),
      app_id: app.id,
      challenge_hash: service.secrets.hash('challenge', challenge),
      expires_at: service.clock() + lifetime,
    })
    .execute();
  return { id, challenge: { publicKey: { ...publicKey } } };
}

function descriptor({ cred_id, transports }: Pick<DeviceRow, 'cred_id' | 'transports'>) {
  return { id: cred_id, transports: JSON.parse(transports) };
}
