import { compactVerify, decodeJwt, decodeProtectedHeader, importJWK, type JWTPayload } from 'jose';
import { requireApp } from '../apps/apps.ts';
import { findLiveSession } from '../logins/sessions.ts';
import { type App, issuerOf, type Service } from '../service.ts';
import { findUser } from '../users/users.ts';
import { type Check, check } from './check.ts';

/** Checks an access token as a back end does, and says how to fix each check that fails. Never returns the signature. */
export async function explainToken(service: Service, token: string): Promise<Check[]> {
  const read = decode(token);
  if ('state' in read) return [read];
  const { header, claims } = read;
  const checks = [checkAlgorithm(header.alg), ...checkTimes(service, claims)];
  const appId = idOf(claims);
  const app = await requireApp(service, appId).catch(() => undefined);
  if (!app) {
    const cure = 'the token is from another server, or the app was deleted; log in at this server';
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
  if (/^bearer\s/i.test(token)) return broken('begins with "Bearer"', 'pass only the token');
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
    return broken('has parts that are not JSON in base64url', 'copy the whole access token');
  }
}

function checkAlgorithm(alg = ''): Check {
  return alg === 'RS256'
    ? check('algorithm', 'ok', 'RS256')
    : check(
        'algorithm',
        'fail',
        `is ${quote(alg)}`,
        'pass an access token of Passage: those are signed with RS256',
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
          'refresh it in the front end (sessionTimeoutLength sets the lifetime), or check the clock of this machine',
        )
      : check('expiry', 'ok', `is in ${exp - now} seconds`),
    ...(begins > now || (iat ?? 0) > now + 5
      ? [check('time', 'fail', 'is not valid yet', 'synchronize the clocks of all machines by NTP')]
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
  const cure = `set PASSAGE_BASE_URL of the server and of the back end to the URL that browsers use; this server expects ${expected}`;
  return check('issuer', 'fail', `is ${quote(iss)}`, cure);
}

function checkAudience(app: App, { aud = [] }: JWTPayload): Check {
  return [aud].flat().includes(app.id)
    ? check('audience', 'ok', `is the app ${app.id}`)
    : check(
        'audience',
        'fail',
        `does not contain the app ${app.id}`,
        'set PASSAGE_APP_ID of the back end to the ID of the app that the user logs in to',
      );
}

async function checkSignature(service: Service, app: App, token: string, kid = ''): Promise<Check> {
  const key = (await service.keys.published(app.id)).find((candidate) => candidate.kid === kid);
  if (!key) {
    return check(
      'key',
      'fail',
      `${quote(kid)} is not published here`,
      'it was revoked, or a server with another database signed the token; log in again, and connect all servers to one database',
    );
  }
  try {
    await compactVerify(token, await importJWK(key, 'RS256'), { algorithms: ['RS256'] });
    return check('signature', 'ok', 'matches a published key');
  } catch {
    return check(
      'signature',
      'fail',
      'does not match the key it names',
      'copy the whole token: it was altered or truncated',
    );
  }
}

async function checkUser(service: Service, app: App, { sub = '', sid }: JWTPayload): Promise<Check[]> {
  const user = await findUser(service.db, app.id, sub);
  if (!user) return [check('user', 'fail', 'does not exist', 'log in as another user: this one was deleted')];
  if (user.status !== 'active') {
    return [
      check('user', 'fail', `is ${user.status}`, `run passage-server users activate ${app.id} ${user.id}`),
    ];
  }
  const session = await findLiveSession(service, service.db, app, sub, String(sid ?? ''));
  const ended = 'log in again to change anything; until it expires, the token can still read';
  return [
    check('user', 'ok', `${user.id} is active`),
    session ? check('session', 'ok', 'is active') : check('session', 'warn', 'has ended', ended),
  ];
}

/** Shows a claim, which may be of any length. */
function quote(text: unknown): string {
  return JSON.stringify(String(text).slice(0, 200));
}
