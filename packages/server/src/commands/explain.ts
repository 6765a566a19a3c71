import { compactVerify, decodeJwt, decodeProtectedHeader, importJWK, type JWTPayload } from 'jose';
import { requireApp } from '../apps/apps.ts';
import { findLiveSession } from '../logins/sessions.ts';
import { type App, issuerOf, type Service } from '../service.ts';
import { findUser } from '../users/users.ts';
import { type Check, check } from './check.ts';

/** Runs the checks of an access token. For each that fails, it says what to set and where. The signature is never returned. */
export async function explainToken(service: Service, token: string): Promise<Check[]> {
  const read = decode(token);
  if ('state' in read) return [read];
  const { header, claims } = read;
  const checks = [checkAlgorithm(header.alg), ...checkTimes(service, claims)];
  const appId = idOf(claims);
  const app = await requireApp(service, appId).catch(() => undefined);
  if (!app) {
    const cure = 'the token is of another server, or the app was deleted: log in at this one';
    return [...checks, check('issuer', 'fail', `no app here has the ID ${quote(appId)}`, cure)];
  }
  return [
    ...checks,
    checkIssuer(service, app, claims),
    checkAudience(app, claims),
    await checkSignature(service, app, token, header.kid),
    ...(await checkUser(service, app, claims)),
  ];
}

function decode(token: string): { header: { alg?: string; kid?: string }; claims: JWTPayload } | Check {
  const broken = (text: string, cure: string) => check('form', 'fail', text, cure);
  if (/^bearer\s/i.test(token)) return broken('begins with "Bearer"', 'pass the token alone');
  if (/^[\w-]{43}$/.test(token)) {
    return broken('looks like a refresh token', 'exchange it for an access token at POST /tokens');
  }
  const parts = token.split('.').length;
  if (parts !== 3) return broken(`has ${parts} parts instead of 3`, 'copy the whole access token');
  try {
    return {
      header: decodeProtectedHeader(token) as { alg?: string; kid?: string },
      claims: decodeJwt(token),
    };
  } catch {
    return broken('has parts that are no JSON in base64url', 'copy the whole access token');
  }
}

function checkAlgorithm(alg = ''): Check {
  return alg === 'RS256'
    ? check('algorithm', 'ok', 'RS256')
    : check(
        'algorithm',
        'fail',
        `is ${quote(alg)}`,
        'Passage signs with RS256: this is another kind of token',
      );
}

function checkTimes({ clock }: Service, { exp, nbf, iat }: JWTPayload): Check[] {
  const now = Math.floor(clock() / 1000);
  const begins = Math.max(nbf ?? 0, 0);
  return [
    exp === undefined || exp <= now
      ? check(
          'expiry',
          'fail',
          exp === undefined ? 'is missing' : `was ${now - exp} seconds ago`,
          'have the front end refresh it (sessionTimeoutLength sets the lifetime), or check the clock of this machine',
        )
      : check('expiry', 'ok', `is in ${exp - now} seconds`),
    ...(begins > now || (iat ?? 0) > now + 5
      ? [check('time', 'fail', 'begins in the future', 'synchronize the clocks of all machines by NTP')]
      : []),
  ];
}

/** Finds the app that a token names in its issuer or audience. */
function idOf({ iss = '', aud = [] }: JWTPayload): string {
  return /\/apps\/([\w-]{1,64})$/.exec(iss)?.[1] ?? [aud].flat()[0] ?? '';
}

function checkIssuer(service: Service, app: App, { iss = '' }: JWTPayload): Check {
  const expected = issuerOf(service, app.id);
  if (iss === expected) return check('issuer', 'ok', expected);
  const cure = `PASSAGE_BASE_URL of the server and of the back end must both be the URL that browsers use. Here it makes ${expected}`;
  return check('issuer', 'fail', `is ${quote(iss)}`, cure);
}

function checkAudience(app: App, { aud = [] }: JWTPayload): Check {
  return [aud].flat().includes(app.id)
    ? check('audience', 'ok', `is the app ${app.id}`)
    : check(
        'audience',
        'fail',
        `lacks the app ${app.id}`,
        'set PASSAGE_APP_ID of the back end to the app that logs in',
      );
}

async function checkSignature(service: Service, app: App, token: string, kid = ''): Promise<Check> {
  const key = (await service.keys.published(app.id)).find((candidate) => candidate.kid === kid);
  if (!key) {
    return check(
      'key',
      'fail',
      `${quote(kid)} is not published here`,
      'it was revoked, or another database signed: log in again, and see that all servers share one database',
    );
  }
  try {
    await compactVerify(token, await importJWK(key, 'RS256'), { algorithms: ['RS256'] });
    return check('signature', 'ok', 'is that of a published key');
  } catch {
    return check('signature', 'fail', 'is not that of the key it names', 'the token was altered or cut off');
  }
}

async function checkUser(service: Service, app: App, { sub = '', sid }: JWTPayload): Promise<Check[]> {
  const user = await findUser(service.db, app.id, sub);
  if (!user) return [check('user', 'fail', 'does not exist', 'the user was deleted')];
  if (user.status !== 'active') {
    return [check('user', 'fail', `is ${user.status}`, `passage-server users activate ${app.id} ${user.id}`)];
  }
  const session = await findLiveSession(service, service.db, app, sub, String(sid ?? ''));
  const ended =
    'the user logged out, or the session was ended: the token reads until it expires and changes nothing';
  return [
    check('user', 'ok', `${user.id} is active`),
    session ? check('session', 'ok', 'is live') : check('session', 'warn', 'has ended', ended),
  ];
}

/** Shows a claim, which may be of any length. */
function quote(text: unknown): string {
  return JSON.stringify(String(text).slice(0, 200));
}
