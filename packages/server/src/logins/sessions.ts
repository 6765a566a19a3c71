import { randomBytes } from 'node:crypto';
import { WireError } from '../errors.ts';
import { record, report } from '../events/record.ts';
import { notify } from '../messages/notices.ts';
import { type App, type Client, itself, type Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { SessionRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';
import { defer, prepareInsert } from '../storage/statements.ts';
import { findUser } from '../users/users.ts';
import { signAccessToken } from './accesstoken.ts';

export interface AuthResult {
  auth_token: string;
  redirect_url: string;
  refresh_token?: string;
  refresh_token_expiration?: number;
}

/** How a session began. */
export interface SessionStart {
  method: SessionRow['method'];
  /** Passkey that opened it. */
  deviceId?: string | undefined;
  /** Whether this login proved an address of the user, or the person who created its passkey had proven one. Default is no. */
  proven?: boolean | undefined;
  /** Whether the session outlives its access token. Default is yes, unless the app has disabled refresh tokens. */
  refreshable?: boolean | undefined;
}

const insertSession = prepareInsert('sessions', [
  'id',
  'app_id',
  'user_id',
  'method',
  'device_id',
  'proven',
  'created_at',
  'expires_at',
]);

const insertToken = prepareInsert('refresh_tokens', [
  'hash',
  'session_id',
  'app_id',
  'created_at',
  'expires_at',
  'used_at',
]);

/** Opens a session. Without refresh tokens it lasts as long as its access token. The user must be locked. */
export async function openSession(
  service: Service,
  trx: Queries,
  app: App,
  userId: string,
  { method, deviceId = undefined, proven = false, refreshable = true }: SessionStart,
) {
  const { refreshEnabled, refreshAbsoluteLifetime, sessionTimeoutLength } = app.settings;
  const refreshes = refreshEnabled && refreshable;
  const now = service.clock();
  const session: SessionRow = {
    id: randomText(),
    app_id: app.id,
    user_id: userId,
    method,
    device_id: deviceId ?? null,
    proven: proven ? 1 : 0,
    created_at: now,
    expires_at: now + (refreshes ? refreshAbsoluteLifetime : sessionTimeoutLength * 60) * 1000,
  };
  await defer(trx, insertSession(session));
  const token = randomBytes(32).toString('base64url');
  return {
    id: session.id,
    authTime: session.created_at,
    refresh: refreshes ? await insertRefreshToken(service, trx, app, session, token) : undefined,
  };
}

async function insertRefreshToken(
  service: Service,
  trx: Queries,
  app: App,
  session: Pick<SessionRow, 'id' | 'expires_at'>,
  token: string,
) {
  const now = service.clock();
  const expires_at = Math.min(now + app.settings.refreshInactivityLifetime * 1000, session.expires_at);
  const hash = hashOf(service, token);
  const row = { hash, session_id: session.id, app_id: app.id, created_at: now, expires_at, used_at: null };
  await defer(trx, insertToken(row));
  return refreshView(token, expires_at);
}

function refreshView(refresh_token: string, expiresAt: number) {
  return { refresh_token, refresh_token_expiration: Math.floor(expiresAt / 1000) };
}

/** Returns a session of the user that has not ended. */
export async function findLiveSession(
  service: Service,
  queries: Queries,
  app: App,
  userId: string,
  id: string,
): Promise<SessionRow | undefined> {
  return queries
    .selectFrom('sessions')
    .selectAll()
    .where('app_id', '=', app.id)
    .where('user_id', '=', userId)
    .where('id', '=', id)
    .where('expires_at', '>', service.clock())
    .executeTakeFirst();
}

/** @throws {@link WireError} `invalid_access_token` if the session of an access token has ended */
export async function requireLiveSession(
  service: Service,
  queries: Queries,
  app: App,
  userId: string,
  id: string,
): Promise<SessionRow> {
  const session = await findLiveSession(service, queries, app, userId, id);
  if (!session) throw new WireError('invalid_access_token');
  return session;
}

/**
 * Exchanges a refresh token for new tokens. It works once. For `refreshReuseInterval` seconds, it returns the same
 * successor again, unless that was used. Later reuse ends the session.
 *
 * @see RFC 9700 §4.14.2
 * @throws {@link WireError} `invalid_refresh_token`, `user_not_active`
 */
export async function refresh(
  service: Service,
  app: App,
  token: string,
  client: Client,
): Promise<AuthResult> {
  if (!app.settings.refreshEnabled) throw new WireError('invalid_refresh_token');
  // Read first: inside the transaction it would wait for a connection while holding one.
  const key = await service.keys.signing(app.id);
  // The transaction commits even if the token is refused, so that the end of the session is stored.
  const result = await service.db.transaction().execute(async (trx) => {
    const session = await lockSession(service, trx, app, token);
    if (!session) return 'invalid_refresh_token';
    const user = await findUser(trx, app.id, session.user_id);
    if (user?.status !== 'active') return 'user_not_active';
    const next = await takeSuccessor(service, trx, app, session, token);
    if (next === 'expired') return 'invalid_refresh_token';
    if (next === 'reused') {
      await trx.deleteFrom('sessions').where('id', '=', session.id).execute();
      await record(service, trx, {
        type: 'refresh_token.reused',
        appId: app.id,
        userId: user.id,
        // The sender may be a thief, so the server is recorded as the one that ended the session.
        client: { ...client, actor: itself.actor },
        details: { session: session.id },
      });
      return { reusedOf: user };
    }
    return { session, next };
  });
  if (typeof result === 'string') throw new WireError(result);
  if ('reusedOf' in result) {
    await notify(service, app, result.reusedOf, 'refresh_reused', { visitor: client });
    throw new WireError('invalid_refresh_token');
  }
  const { user_id, id, created_at: authTime } = result.session;
  return {
    auth_token: await signAccessToken(service, app, key, user_id, { id, authTime }),
    redirect_url: app.settings.redirectUrl,
    ...result.next,
  };
}

/** Finds the session of a refresh token and locks it, so that concurrent uses of its tokens and the end of the session wait for each other. */
async function lockSession(
  service: Service,
  trx: Queries,
  app: App,
  token: string,
): Promise<SessionRow | undefined> {
  const hash = hashOf(service, token);
  return trx
    .updateTable('sessions')
    .set((eb) => ({ expires_at: eb.ref('expires_at') }))
    .where('app_id', '=', app.id)
    .where('id', 'in', (eb) => eb.selectFrom('refresh_tokens').select('session_id').where('hash', '=', hash))
    .where('expires_at', '>', service.clock())
    .returningAll()
    .executeTakeFirst();
}

/** Marks a refresh token as used. Its successor is derived from it, so it can be returned again without being stored. */
async function takeSuccessor(service: Service, trx: Queries, app: App, session: SessionRow, token: string) {
  const now = service.clock();
  const successor = service.secrets.hash('refresh successor', token);
  const used = await findRefreshToken(service, trx, token);
  if (!used) return 'expired';
  if (used.used_at === null) {
    if (used.expires_at <= now) return 'expired';
    await trx.updateTable('refresh_tokens').set({ used_at: now }).where('hash', '=', used.hash).execute();
    return insertRefreshToken(service, trx, app, session, successor);
  }
  const interval = app.settings.refreshReuseInterval * 1000;
  // Another process whose clock is ahead may have written `used_at`. Without an interval, that must not matter.
  if (interval === 0 || now >= used.used_at + interval) return 'reused';
  const next = await findRefreshToken(service, trx, successor);
  return next?.used_at === null ? refreshView(successor, next.expires_at) : 'reused';
}

async function findRefreshToken(service: Service, trx: Queries, token: string) {
  return trx
    .selectFrom('refresh_tokens')
    .select(['hash', 'used_at', 'expires_at'])
    .where('hash', '=', hashOf(service, token))
    .executeTakeFirst();
}

/** Signs out: ends the session of a refresh token, if there is one. */
export async function revoke(service: Service, app: App, token: string, client: Client): Promise<void> {
  const hash = hashOf(service, token);
  const ended = await service.db
    .deleteFrom('sessions')
    .where('app_id', '=', app.id)
    .where('id', 'in', (eb) => eb.selectFrom('refresh_tokens').select('session_id').where('hash', '=', hash))
    .returning('user_id')
    .executeTakeFirst();
  if (ended) report(service, { type: 'session.ended', appId: app.id, userId: ended.user_id, client });
}

function hashOf(service: Service, token: string): string {
  return service.secrets.hash('refresh token', token);
}
