import { WireError } from '../errors.ts';
import { verifyAccessToken } from '../logins/accesstoken.ts';
import type { App, Service } from '../service.ts';
import type { UserRow } from '../storage/schema.ts';
import { findUser } from '../users/users.ts';

/** The user that an access token names. */
export interface Caller {
  user: UserRow;
  /** When they last proved who they are, in milliseconds since the epoch. */
  authTime: number;
}

/**
 * Finds who calls. Cookies are never read: a request of another site carries no credentials here.
 *
 * @throws {@link WireError} `invalid_access_token`, also for a user who is gone; `user_not_active`
 */
export async function requireCaller(
  service: Service,
  app: App,
  authorization: string | undefined,
): Promise<Caller> {
  const token = /^bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? '')?.[1];
  if (!token || token.length > 8_192) throw new WireError('invalid_access_token');
  const { userId, authTime } = await verifyAccessToken(service, app, token);
  const user = await findUser(service.db, app.id, userId);
  if (!user) throw new WireError('invalid_access_token');
  if (user.status !== 'active') throw new WireError('user_not_active');
  return { user, authTime };
}
