import { randomBytes } from 'node:crypto';
import { importJWK, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import type { SigningKey } from '../apps/keys.ts';
import { WireError } from '../errors.ts';
import { type App, type Client, issuerOf, type Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { UserRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';
import { recordEvent } from '../users/users.ts';

export interface AuthResult {
  auth_token: string;
  redirect_url: string;
  refresh_token?: string;
  refresh_token_expiration?: number;
}

/** How somebody proved who they are. */
export interface Login {
  user: UserRow;
  client: Client;
  /** Event to write down. */
  event: string;
  redirectUrl?: string | undefined;
  /** Address that was proven, to be marked as verified. */
  verified?: 'email' | 'phone' | undefined;
}

/**
 * Logs a user in: counts the login, activates a pending user, opens a session.
 *
 * @param prove Uses up the proof and says who it is of. It shares the transaction, so that proof and login count together or not at all.
 * @throws {@link WireError} `user_not_active`, and whatever `prove` throws
 */
export async function logIn(
  service: Service,
  app: App,
  prove: (trx: Queries) => Promise<Login>,
): Promise<AuthResult> {
  const now = service.clock();
  // Read first: inside the transaction it would wait for a connection while holding one.
  const key = await service.keys.signing(app.id);
  const { login, refreshToken } = await service.db.transaction().execute(async (trx) => {
    const login = await prove(trx);
    await countLogin(service, trx, app, login);
    return { login, refreshToken: await openSession(service, trx, app, login.user.id) };
  });
  return {
    auth_token: await signAccessToken(service, app, key, login.user.id, now),
    redirect_url: login.redirectUrl || app.settings.redirectUrl,
    ...refreshToken,
  };
}

async function countLogin(service: Service, trx: Queries, app: App, login: Login): Promise<void> {
  const { user, client, event: type, verified } = login;
  const now = service.clock();
  const updated = await trx
    .updateTable('users')
    .set((eb) => ({
      status: 'active',
      login_count: eb('login_count', '+', 1),
      last_login_at: now,
      updated_at: now,
      ...(verified && { [`${verified}_verified`]: 1 }),
    }))
    .where('app_id', '=', app.id)
    .where('id', '=', user.id)
    .where('status', '!=', 'inactive')
    .returning('login_count')
    .executeTakeFirst();
  if (!updated) throw new WireError('user_not_active');
  const action = updated.login_count === 1 ? 'register' : 'login';
  await recordEvent(service, trx, { appId: app.id, userId: user.id, type, action, client });
}

async function openSession(service: Service, trx: Queries, app: App, userId: string) {
  if (!app.settings.refreshEnabled) return undefined;
  const now = service.clock();
  const expires_at = now + app.settings.refreshAbsoluteLifetime * 1000;
  const session = { id: randomText(), app_id: app.id, user_id: userId, created_at: now, expires_at };
  await trx.insertInto('sessions').values(session).execute();
  return insertRefreshToken(service, trx, app, session);
}

/** @param authTime When the user last proved who they are, in milliseconds. */
async function signAccessToken(
  service: Service,
  app: App,
  { kid, key }: SigningKey,
  userId: string,
  authTime: number,
): Promise<string> {
  const now = Math.floor(service.clock() / 1000);
  return new SignJWT({ auth_time: Math.floor(authTime / 1000) })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid })
    .setIssuer(issuerOf(service, app.id))
    .setSubject(userId)
    .setAudience([app.id, app.settings.authOrigin])
    .setIssuedAt(now)
    .setNotBefore(now - 5)
    .setExpirationTime(now + app.settings.sessionTimeoutLength * 60)
    .setJti(randomText())
    .sign(key);
}

/**
 * Checks an access token of the app: signature, issuer, audience, times, subject. Not whether its user still exists.
 *
 * @throws {@link WireError} `invalid_access_token`
 */
export async function verifyAccessToken(
  service: Service,
  app: App,
  token: string,
): Promise<{ userId: string; authTime: number }> {
  const keys = await service.keys.published(app.id);
  let claims: JWTPayload;
  try {
    const { payload } = await jwtVerify(
      token,
      async ({ kid }) => {
        const jwk = keys.find((candidate) => candidate.kid === kid);
        if (!jwk) throw new WireError('invalid_access_token');
        return importJWK(jwk, 'RS256');
      },
      {
        algorithms: ['RS256'],
        typ: 'JWT',
        issuer: issuerOf(service, app.id),
        audience: app.id,
        requiredClaims: ['sub', 'exp', 'iat', 'jti'],
        currentDate: new Date(service.clock()),
      },
    );
    claims = payload;
  } catch (cause) {
    throw new WireError('invalid_access_token', undefined, { cause });
  }
  return { userId: claims.sub ?? '', authTime: Number(claims.auth_time ?? 0) * 1000 };
}

interface SessionStart {
  id: string;
  expires_at: number;
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
