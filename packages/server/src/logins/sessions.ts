import { randomBytes } from 'node:crypto';
import { WireError } from '../errors.ts';
import type { App, Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import { randomText } from '../storage/secrets.ts';
import { signAccessToken } from './accesstoken.ts';

export interface AuthResult {
  auth_token: string;
  redirect_url: string;
  refresh_token?: string;
  refresh_token_expiration?: number;
}

interface SessionStart {
  id: string;
  expires_at: number;
}

export async function openSession(service: Service, trx: Queries, app: App, userId: string) {
  if (!app.settings.refreshEnabled) return undefined;
  const now = service.clock();
  const expires_at = now + app.settings.refreshAbsoluteLifetime * 1000;
  const session = {
    id: randomText(),
    app_id: app.id,
    user_id: userId,
    method: 'passkey' as const,
    device_id: null,
    proven: 0 as const,
    created_at: now,
    expires_at,
  };
  await trx.insertInto('sessions').values(session).execute();
  return insertRefreshToken(service, trx, app, session);
}

async function insertRefreshToken(service: Service, trx: Queries, app: App, session: SessionStart) {
  const now = service.clock();
  const token = randomBytes(32).toString('base64url');
  const expires_at = Math.min(now + app.settings.refreshInactivityLifetime * 1000, session.expires_at);
  const hash = service.secrets.hash('refresh token', token);
  await trx
    .insertInto('refresh_tokens')
    .values({ hash, session_id: session.id, app_id: app.id, created_at: now, expires_at, used_at: null })
    .execute();
  return { refresh_token: token, refresh_token_expiration: Math.floor(expires_at / 1000) };
}

/**
 * Exchanges a refresh token for new tokens. It is good once: using it again ends the session that it belongs to.
 *
 * @see RFC 9700 §4.14.2
 * @throws {@link WireError} `invalid_refresh_token`, `user_not_active`
 */
export async function refresh(service: Service, app: App, token: string): Promise<AuthResult> {
  const now = service.clock();
  const key = await service.keys.signing(app.id);
  const hash = service.secrets.hash('refresh token', token);
  // The transaction ends well even when the token is refused, for the end of the session has to be kept.
  const result = await service.db.transaction().execute(async (trx) => {
    const taken = await trx
      .updateTable('refresh_tokens')
      .set({ used_at: now })
      .where('hash', '=', hash)
      .where('app_id', '=', app.id)
      .where('used_at', 'is', null)
      .returning(['session_id', 'expires_at'])
      .executeTakeFirst();
    if (!taken) {
      await endSession(service, trx, app, hash);
      return undefined;
    }
    const session = await trx
      .selectFrom('sessions')
      .selectAll()
      .where('id', '=', taken.session_id)
      .where('expires_at', '>', now)
      .executeTakeFirst();
    if (!session || taken.expires_at <= now) return undefined;
    const user = await trx
      .selectFrom('users')
      .select('status')
      .where('app_id', '=', app.id)
      .where('id', '=', session.user_id)
      .executeTakeFirst();
    if (user?.status !== 'active') return 'user_not_active' as const;
    return { session, next: await insertRefreshToken(service, trx, app, session) };
  });
  if (!result) throw new WireError('invalid_refresh_token');
  if (result === 'user_not_active') throw new WireError('user_not_active');
  return {
    auth_token: await signAccessToken(service, app, key, result.session.user_id, result.session.created_at),
    redirect_url: app.settings.redirectUrl,
    ...result.next,
  };
}

/** Ends the session that a refresh token belongs to, if there is one. */
export async function revoke(service: Service, app: App, token: string): Promise<void> {
  await endSession(service, service.db, app, service.secrets.hash('refresh token', token));
}

async function endSession(service: Service, queries: Queries, app: App, hash: string): Promise<void> {
  const ended = await queries
    .deleteFrom('sessions')
    .where('app_id', '=', app.id)
    .where('id', 'in', (eb) => eb.selectFrom('refresh_tokens').select('session_id').where('hash', '=', hash))
    .returning('user_id')
    .executeTakeFirst();
  if (ended) service.metrics.events.inc({ type: 'session.ended' });
}

/** Ends all sessions of a user. */
export async function revokeAll(queries: Queries, appId: string, userId: string): Promise<void> {
  await queries.deleteFrom('sessions').where('app_id', '=', appId).where('user_id', '=', userId).execute();
}
