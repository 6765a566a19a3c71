import { importJWK, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { WireError } from '../errors.ts';
import { type App, issuerOf, type Service, type SigningKey } from '../service.ts';
import { randomText } from '../storage/secrets.ts';

/** @param authTime When the user last proved who they are, in milliseconds. */
export async function signAccessToken(
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
