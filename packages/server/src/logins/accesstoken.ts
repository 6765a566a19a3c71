import type { JWTPayload } from 'jose';
import { SignJWT } from 'jose/jwt/sign';
import { jwtVerify } from 'jose/jwt/verify';
import { WireError } from '../errors.ts';
import { type App, issuerOf, type Service, type SigningKey } from '../service.ts';
import { randomText } from '../storage/secrets.ts';

/** One login. Access tokens name it. */
export interface Session {
  /** `sid` of access tokens. Empty for tokens of older versions without one. */
  id: string;
  /** When the user logged in, in milliseconds since the epoch. */
  authTime: number;
}

export async function signAccessToken(
  service: Service,
  app: App,
  { kid, key }: SigningKey,
  userId: string,
  session: Session,
): Promise<string> {
  const now = Math.floor(service.clock() / 1000);
  return new SignJWT({ sid: session.id, auth_time: Math.floor(session.authTime / 1000) })
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
 * Checks an access token of the app: signature, issuer, audience, times, subject. Not checked: whether its user and session
 * still exist.
 *
 * @throws {@link WireError} `invalid_access_token`
 */
export async function verifyAccessToken(
  service: Service,
  app: App,
  token: string,
): Promise<{ userId: string; session: Session }> {
  const keys = await service.keys.published(app.id);
  let claims: JWTPayload;
  try {
    const { payload } = await jwtVerify(
      token,
      ({ kid }) => {
        const jwk = keys.find((candidate) => candidate.kid === kid);
        if (!jwk) throw new WireError('invalid_access_token');
        return jwk;
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
  const authTime = Number(claims.auth_time ?? 0) * 1000;
  return { userId: claims.sub ?? '', session: { id: String(claims.sid ?? ''), authTime } };
}
