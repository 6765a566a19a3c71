import { z } from 'zod';
import { WireError } from '../errors.ts';
import { report } from '../events/record.ts';
import { type RequestContext, type Route, route } from '../http/routes.ts';
import { authResult, bodies } from '../http/schemas.ts';
import { checkLimit, countUp, tally } from '../limits/limits.ts';
import { resolveUser } from '../logins/enumeration.ts';
import { type Login, logIn } from '../logins/logins.ts';
import { requireMethod, requireSignup } from '../logins/signup.ts';
import { countLoginMessage, countSent, isSpared } from '../messages/allowance.ts';
import { post } from '../messages/messages.ts';
import { readCode } from '../pages/client/login-typing.js';
import { type App, type Client, clockSkew, type Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { CodeRow, LoginAction } from '../storage/schema.ts';
import { randomCode, randomText } from '../storage/secrets.ts';
import { type Identifier, readIdentifier } from '../users/identifiers.ts';
import { lockUser } from '../users/users.ts';

/** How often a code may be tried. */
const maxAttempts = 3;
/** Subject under which wrong codes of an app are counted. */
const everyCode = '';

const sent = z.object({ otp_id: z.string() });
type CodeBody = z.infer<typeof bodies.code>;

export const codeRoutes: Route[] = [
  route(
    {
      method: 'POST',
      path: '/register/otp',
      leveled: true,
      summary: 'Send a code that registers',
      access: 'public',
      body: bodies.code,
      status: 201,
      answer: sent,
      errors: [400, 403, 429],
    },
    (context) => sendCode(context, 'register'),
  ),
  route(
    {
      method: 'POST',
      path: '/login/otp',
      leveled: true,
      summary: 'Send a code that logs in',
      access: 'public',
      body: bodies.code,
      status: 201,
      answer: sent,
      errors: [400, 403, 404, 429],
    },
    (context) => sendCode(context, 'login'),
  ),
  route(
    {
      method: 'POST',
      path: '/otp/activate',
      summary: `Log in with a code. Allows ${maxAttempts} tries`,
      access: 'public',
      body: bodies.codeActivate,
      answer: z.object({ auth_result: authResult }),
      errors: [400, 401, 403, 429],
    },
    async ({ service, app, body, client }) => {
      requireMethod(app, 'otp');
      const otp = readCode(body.otp);
      if (!otp) throw new WireError('invalid_request', 'otp: must be 6 digits.');
      await checkLimit(service, 'failuresPerIp', app.id, client.ip);
      await checkLimit(service, 'wrongCodesPerApp', app.id, everyCode);
      const id = service.secrets.hash('code id', body.otp_id);
      const tried = await countTry(service, app, id);
      if (tried) await requireTries(service, app, tried, client);
      const right = tried?.user_id && service.secrets.hash('code', id, otp) === tried.code_hash;
      if (!tried || !right) {
        await countUp(service, 'failuresPerIp', app.id, client.ip);
        if (tried) await countWrong(service, app, tried, client);
        throw notValid();
      }
      const { user_id, channel, identifier, action } = tried;
      const prove = async (trx: Queries): Promise<Login> => {
        const user = await lockUser(trx, app.id, user_id ?? '');
        const taken = await trx
          .deleteFrom('codes')
          .where('id_hash', '=', id)
          .returning('id_hash')
          .executeTakeFirst();
        // A code proves the address that it was sent to. The user may have changed the address since.
        if (!taken || user?.[channel] !== identifier) throw notValid();
        const session = { method: 'otp' } as const;
        return { user, client, event: 'otp.completed', proof: { channel, action }, session };
      };
      return { auth_result: await logIn(service, app, prove) };
    },
  ),
];

/** @throws {@link WireError} `exceeded_attempts`, `too_many_requests` */
async function requireTries(service: Service, app: App, tried: CodeRow, client: Client): Promise<void> {
  if (!(await isSpared(service, app, tried.identifier, client.ip)))
    await checkLimit(service, 'wrongCodesPerAddress', app.id, tried.identifier);
  if (tried.attempts > maxAttempts) throw new WireError('exceeded_attempts');
}

/** @throws {@link WireError} `too_many_requests` */
async function countWrong(service: Service, app: App, tried: CodeRow, client: Client): Promise<void> {
  const { user_id: user, identifier, attempts } = tried;
  const { ip } = client;
  if (attempts === maxAttempts)
    report(service, { type: 'code.exhausted', appId: app.id, userId: user ?? undefined, client });
  // A decoy cannot be guessed, so its tries use up no limit, but do the same work.
  if (user === null) await tally(service, 'wrongCodesPerApp', app.id, 'decoys');
  else await countUp(service, 'wrongCodesPerApp', app.id, everyCode, { ip, user });
  if (await isSpared(service, app, identifier, ip)) return;
  await countUp(service, 'wrongCodesPerAddress', app.id, identifier, { ip, user });
}

function notValid(): WireError {
  return new WireError('invalid_request', 'otp: is not valid.');
}

/** Counts a try before the code is compared, outside a transaction, so that nothing rolls it back. */
async function countTry(service: Service, app: App, id: string): Promise<CodeRow | undefined> {
  const now = service.clock();
  return service.db
    .updateTable('codes')
    .set((eb) => ({ attempts: eb('attempts', '+', 1) }))
    .where('id_hash', '=', id)
    .where('app_id', '=', app.id)
    .where('expires_at', '>', now)
    .where('created_at', '<=', now + clockSkew)
    .returningAll()
    .executeTakeFirst();
}

async function sendCode(context: RequestContext<CodeBody, unknown>, action: LoginAction) {
  const { service, app, body, client } = context;
  requireMethod(app, 'otp');
  if (action === 'register') requireSignup(app);
  const to = readIdentifier(app, body.identifier);
  const allowed = await countLoginMessage(service, app, to, client);
  const user = await resolveUser(service, app, client, to, action);
  await countSent(service, app, client, allowed && user !== undefined);
  // The user's data stays: the visitor may be a stranger.
  if (!allowed)
    return { otp_id: await createCode(context, { ...to, value: `${randomText()} ` }, action, null) };
  return { otp_id: await createCode(context, to, action, user?.id ?? null) };
}

/** Makes a code. Without a user it is a decoy that no code matches. A new code ends the older ones of its address. */
async function createCode(
  { service, app, body }: RequestContext<CodeBody, unknown>,
  to: Identifier,
  action: LoginAction,
  userId: string | null,
) {
  const otpId = randomText();
  const code = randomCode();
  const id = service.secrets.hash('code id', otpId);
  const now = service.clock();
  const expiresAt = now + app.settings.authMethods.otp.ttl * 1000;
  await service.db.transaction().execute(async (trx) => {
    // Concurrent requests for codes wait for each other, so that one code is valid afterwards.
    await lockUser(trx, app.id, userId ?? '');
    await trx.deleteFrom('codes').where('app_id', '=', app.id).where('identifier', '=', to.value).execute();
    const row = {
      id_hash: id,
      app_id: app.id,
      user_id: userId,
      channel: to.channel,
      identifier: to.value,
      action,
      code_hash: service.secrets.hash('code', id, code),
      attempts: 0,
      created_at: now,
      expires_at: expiresAt,
    };
    await trx.insertInto('codes').values(row).execute();
  });
  const { language } = body;
  const decoy = userId === null;
  await post(service, app, { to, kind: 'otp', secret: code, language, expiresAt, decoy });
  return otpId;
}
