import { WireError } from '../errors.ts';
import { type Session, verifyAccessToken } from '../logins/accesstoken.ts';
import { requireLiveSession } from '../logins/sessions.ts';
import type { App, Service } from '../service.ts';
import type { UserRow } from '../storage/schema.ts';
import { findUser } from '../users/users.ts';

/** The user that an access token names. */
export interface Caller {
  user: UserRow;
  session: Session;
}

/** What a route requires of the session of an access token. */
export interface SessionDemand {
  /** Whether the session must still exist. Access tokens of an ended session can still read until they expire. */
  live: boolean;
  /** Whether its login must be recent. */
  recent: boolean;
}

/**
 * Returns the caller. Cookies are never read, so requests from other sites carry no credentials.
 *
 * @throws {@link WireError} `invalid_access_token`, also if the user or session no longer exists; `user_not_active`; `operation_not_allowed` if
 * the login is not recent
 */
export async function requireCaller(
  service: Service,
  app: App,
  authorization: string | undefined,
  { live, recent }: SessionDemand,
): Promise<Caller> {
  const token = /^bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? '')?.[1];
  if (!token || token.length > 8_192) throw new WireError('invalid_access_token');
  const { userId, session } = await verifyAccessToken(service, app, token);
  const user = await findUser(service.db, app.id, userId);
  if (!user) throw new WireError('invalid_access_token');
  if (user.status !== 'active') throw new WireError('user_not_active');
  if (live) await requireLiveSession(service, service.db, app, userId, session.id);
  // A login that lies as far in the future was dated by a clock that was ahead.
  if (recent && Math.abs(ageOf(service, session)) > app.settings.credentialChangeMaxAge)
    throw new WireError('operation_not_allowed', 'Log in again to change how you log in');
  return { user, session };
}

/** In whole seconds, like `auth_time`. */
function ageOf(service: Service, { authTime }: Session): number {
  return Math.floor(service.clock() / 1000) - Math.floor(authTime / 1000);
}
