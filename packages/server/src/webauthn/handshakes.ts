import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { type App, clockSkew, rpIdOf, type Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { Ceremony, DeviceRow, HandshakeRow, UserRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';
import { prepare, prepareInsert, run, type Statement } from '../storage/statements.ts';

/** How long the browser may take for a ceremony, and how long its answer is accepted, in milliseconds. */
const timeout = 120_000;
const lifetime = 300_000;

/** Algorithms offered, best first: ES256, EdDSA with Ed25519, RS256, ES384, ES512. */
export const algorithms = [-7, -8, -257, -35, -36];

/** What an answer is checked against. */
export interface Expectation {
  /** Returns whether the challenge is the one that was sent. */
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
  /** Session that adds a passkey. The answer must come from the same session. */
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
      // Discoverable, so that a login needs no identifier.
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

interface TakeValues {
  idHash: string;
  appId: string;
  now: number;
  /** Time at which a handshake that begins now expires, with the skew of clocks. */
  latest: number;
}

const take = prepare((db, { idHash, appId, now, latest }: TakeValues) =>
  db
    .updateTable('handshakes')
    // With a negative time, it counts as expired. The row is deleted when it would have expired.
    .set((eb) => ({ expires_at: eb(sql.lit(0), '-', eb.ref('expires_at')) }))
    .where('id_hash', '=', idHash)
    .where('app_id', '=', appId)
    .where('expires_at', '>', now)
    .where('expires_at', '<=', latest)
    .returningAll(),
);

/**
 * Marks a handshake as used, whether its answer is valid or not: a challenge has no second try. Its row stays, so that
 * an end of the ceremony during the verification is noticed. Has no row if the handshake is unknown, used, expired, or belongs to
 * another app.
 */
export function handshakeTake(service: Service, app: App, id: string): Statement<HandshakeRow> {
  const now = service.clock();
  const latest = now + lifetime + clockSkew;
  return take({ idHash: service.secrets.hash('handshake', id), appId: app.id, now, latest });
}

/**
 * Marks a handshake as used, as `handshakeTake` does.
 *
 * @returns The handshake, or `undefined` if it is unknown, used, expired, or belongs to another app or ceremony.
 */
export async function takeHandshake(
  service: Service,
  app: App,
  ceremony: Ceremony,
  id: string,
): Promise<HandshakeRow | undefined> {
  const [row] = await run(service.db, handshakeTake(service, app, id));
  return row?.ceremony === ceremony ? row : undefined;
}

/** Ends a ceremony after a valid answer. The user must be locked. Has no row if it was ended before. */
export const handshakeEnd = prepare((db, { idHash }: { idHash: string }) =>
  db.deleteFrom('handshakes').where('id_hash', '=', idHash).returning('id_hash'),
);

/** Ends a ceremony after a valid answer. The user must be locked. @returns False if it was ended before. */
export async function endHandshake(trx: Queries, handshake: HandshakeRow | undefined): Promise<boolean> {
  const rows = await run(trx, handshakeEnd({ idHash: handshake?.id_hash ?? '' }));
  return rows.length > 0;
}

/**
 * Returns whether everything pending of a user was ended after a login began. A login without an identifier belongs to nobody until its
 * answer arrives, so the end could not delete it. An end later than the expiry of any current ceremony was written while a clock was ahead.
 */
export function isOutlived({ clock }: Service, { expires_at }: HandshakeRow, { ended_at }: UserRow): boolean {
  // The time of a used handshake is negative.
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

const insertHandshake = prepareInsert('handshakes', [
  'id_hash',
  'app_id',
  'ceremony',
  'challenge_hash',
  'user_id',
  'allowed',
  'session_id',
  'expires_at',
]);

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
  const values = {
    ...row,
    id_hash: service.secrets.hash('handshake', id),
    app_id: app.id,
    challenge_hash: service.secrets.hash('challenge', challenge),
    expires_at: service.clock() + lifetime,
  };
  await run(service.db, insertHandshake(values));
  return { id, challenge: { publicKey: { ...publicKey } } };
}

function descriptor({ cred_id, transports }: Pick<DeviceRow, 'cred_id' | 'transports'>) {
  return { id: cred_id, transports: JSON.parse(transports) };
}
