import { z } from 'zod';
import { isAllowedRedirect } from '../apps/origins.ts';
import { WireError } from '../errors.ts';
import { callerOf, type RequestContext, type Route, route } from '../http/routes.ts';
import { authResult, bodies } from '../http/schemas.ts';
import { checkLimit, countUp } from '../limits/limits.ts';
import { resolveUser } from '../logins/enumeration.ts';
import { activateLink, claimLink, createLink, requireListedPath } from '../logins/links.ts';
import { requireReplaceable } from '../logins/proof.ts';
import { requireLiveSession } from '../logins/sessions.ts';
import { requireMethod, requireSignup } from '../logins/signup.ts';
import { countLoginMessage, countMessage, countSent } from '../messages/allowance.ts';
import { post } from '../messages/messages.ts';
import type { LoginAction } from '../storage/schema.ts';
import {
  type Identifier,
  identifierErrors,
  readEmail,
  readIdentifier,
  readPhone,
} from '../users/identifiers.ts';

const linkId = z.object({ magic_link: z.object({ id: z.string() }) });
const finished = z.object({ auth_result: authResult });
type LinkBody = z.infer<typeof bodies.link>;

export const linkRoutes: Route[] = [
  route(
    {
      method: 'POST',
      path: '/register/magic-link',
      leveled: true,
      summary: 'Send a link that registers',
      access: 'public',
      body: bodies.link,
      status: 201,
      answer: linkId,
      errors: [400, 403, 429],
    },
    (context) => sendLink(context, 'register'),
  ),
  route(
    {
      method: 'POST',
      path: '/login/magic-link',
      leveled: true,
      summary: 'Send a link that logs in',
      access: 'public',
      body: bodies.link,
      answer: linkId,
      errors: [400, 403, 404, 429],
    },
    (context) => sendLink(context, 'login'),
  ),
  route(
    {
      method: 'PATCH',
      path: '/magic-link/activate',
      summary: 'Log in with the secret of a link, once',
      access: 'public',
      body: bodies.linkActivate,
      answer: finished,
      errors: [400, 403, 404, 429],
    },
    async ({ service, app, body, client }) => {
      await checkLimit(service, 'failuresPerIp', app.id, client.ip);
      try {
        return { auth_result: await activateLink(service, app, body.magic_link, client) };
      } catch (error) {
        if (error instanceof WireError && error.status === 404)
          await countUp(service, 'failuresPerIp', app.id, client.ip);
        throw error;
      }
    },
  ),
  route(
    {
      method: 'POST',
      path: '/magic-link/status',
      summary: 'Log in once the link was opened on another device; 404 until then',
      access: 'public',
      body: bodies.linkStatus,
      answer: finished,
      errors: [400, 403, 404],
    },
    async ({ service, app, body, client }) => ({
      auth_result: await claimLink(service, app, body.id, client),
    }),
  ),
  route(
    {
      method: 'PATCH',
      path: '/currentuser/email',
      summary: 'Send a link that confirms the user’s new email address. Needs a recent login',
      access: 'user',
      credentials: true,
      body: bodies.newEmail,
      answer: linkId,
      errors: [400, 401, 403, 429],
    },
    (context) => {
      const value = readEmail(context.body.new_email);
      if (!value) throw new WireError('invalid_request', identifierErrors.email);
      return sendVerification(context, { channel: 'email', value });
    },
  ),
  route(
    {
      method: 'PATCH',
      path: '/currentuser/phone',
      summary: 'Send a link that confirms the user’s new phone number. Needs a recent login',
      access: 'user',
      credentials: true,
      body: bodies.newPhone,
      answer: linkId,
      errors: [400, 401, 403, 429],
    },
    (context) => {
      const value = readPhone(context.body.new_phone);
      if (!value) throw new WireError('invalid_request', identifierErrors.phone);
      return sendVerification(context, { channel: 'phone', value });
    },
  ),
];

async function sendLink(context: RequestContext<LinkBody, unknown>, action: LoginAction) {
  const { service, app, body, client } = context;
  requireMethod(app, 'magicLink');
  if (action === 'register') requireSignup(app);
  const to = readIdentifier(app, body.identifier);
  const path = requireListedPath(app, body.magic_link_path);
  const allowed = await countLoginMessage(service, app, to, client);
  const resolved = await resolveUser(service, app, client, to, action);
  const user = allowed ? resolved : undefined;
  await countSent(service, app, client, user !== undefined);
  const { ttl } = app.settings.authMethods.magicLink;
  const request = {
    userId: user?.id,
    to,
    action,
    type: 'login',
    source: 'visitor',
    ttl,
    path,
  } as const;
  const link = await createLink(service, service.db, app, request);
  const message = {
    to,
    kind: 'magic_link',
    decoy: !user,
    secret: link.url,
    language: body.language,
    expiresAt: link.expiresAt,
  } as const;
  await post(service, app, message);
  return { magic_link: { id: link.id } };
}

type VerificationBody = Pick<
  z.infer<typeof bodies.newEmail>,
  'language' | 'magic_link_path' | 'redirect_url'
>;

async function sendVerification(context: RequestContext<VerificationBody, unknown>, to: Identifier) {
  const { service, app, body, client } = context;
  const { user, session } = callerOf(context);
  const live = await requireLiveSession(service, service.db, app, user.id, session.id);
  if (user[to.channel] !== to.value) requireReplaceable(user, live, to.channel);
  const path = requireListedPath(app, body.magic_link_path);
  if (body.redirect_url && !isAllowedRedirect(app, body.redirect_url)) {
    throw new WireError('invalid_request', 'redirect_url: must be a path or an allowed URL.');
  }
  await countMessage(service, app, to, client);
  await countSent(service, app, client, true);
  const { ttl } = app.settings.authMethods.magicLink;
  const link = await createLink(service, service.db, app, {
    userId: user.id,
    to,
    type: 'verify_identifier',
    source: 'visitor',
    ttl,
    path,
    redirectUrl: body.redirect_url,
    sessionId: session.id,
    address: user[to.channel],
  });
  const message = {
    to,
    kind: 'verify_identifier',
    account: user,
    secret: link.url,
    language: body.language,
    expiresAt: link.expiresAt,
  } as const;
  await post(service, app, message);
  return { magic_link: { id: link.id } };
}
