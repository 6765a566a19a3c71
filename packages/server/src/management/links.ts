import { z } from 'zod';
import { isAllowedRedirect } from '../apps/origins.ts';
import { WireError } from '../errors.ts';
import { record } from '../events/record.ts';
import { type RequestContext, type Route, route } from '../http/routes.ts';
import { bodies, magicLink } from '../http/schemas.ts';
import { createLink, requireLinkPath } from '../logins/links.ts';
import { post } from '../messages/messages.ts';
import type { UserRow } from '../storage/schema.ts';
import { type Identifier, readIdentifiers } from '../users/identifiers.ts';
import { adoptUser, findOrInsertUser, requireUser } from '../users/users.ts';

type Body = z.infer<typeof bodies.magicLink>;
type Context = RequestContext<Body, unknown>;

export const linkRoutes: Route[] = [
  route(
    {
      method: 'POST',
      path: '/magic-links',
      summary: 'Create a link that logs in or proves an address. With `send: false` the caller delivers it',
      access: 'key',
      body: bodies.magicLink,
      status: 201,
      answer: z.object({ magic_link: magicLink }),
      errors: [400, 401],
    },
    createMagicLink,
  ),
];

async function createMagicLink(context: Context) {
  const { service, app, body, client } = context;
  requireLinkPath(body.magic_link_path);
  if (body.redirect_url && !isAllowedRedirect(app, body.redirect_url)) {
    throw new WireError('invalid_request', 'redirect_url: must be a path or an allowed URL.');
  }
  const { user, to } = await requireRecipient(context);
  const type = body.type ?? 'login';
  const ttl = body.ttl ?? Math.ceil(app.settings.authMethods.magicLink.ttl / 60);
  const link = await service.db.transaction().execute(async (trx) => {
    const details = { link: type, channel: to.channel, minutes: ttl, sent: body.send };
    await record(service, trx, {
      type: 'magic_link.created',
      appId: app.id,
      userId: user.id,
      client,
      details,
      addresses: [to.value],
    });
    return createLink(service, trx, app, {
      userId: user.id,
      to,
      type,
      source: 'back_end',
      ttl: ttl * 60,
      path: body.magic_link_path,
      redirectUrl: body.redirect_url,
    });
  });
  if (body.send) {
    const kind = type === 'login' ? 'magic_link' : 'verify_identifier';
    await post(service, app, {
      to,
      kind,
      ...(type === 'verify_identifier' && { account: user }),
      secret: link.url,
      language: body.language,
      expiresAt: link.expiresAt,
    });
  }
  return {
    magic_link: {
      id: link.id,
      app_id: app.id,
      user_id: user.id,
      identifier: to.value,
      type,
      activated: false,
      secret: link.secret,
      ttl,
      url: link.url,
      redirect_url: link.redirectUrl,
    },
  };
}

/** Finds the user of the link by ID or address. An unknown address gets a new user. */
async function requireRecipient({
  service,
  app,
  body,
  client,
}: Context): Promise<{ user: UserRow; to: Identifier }> {
  if (body.user_id) {
    const user = await requireUser(service.db, app.id, body.user_id);
    const channel = body.channel ?? (user.email ? 'email' : 'phone');
    const value = user[channel];
    if (!value) throw new WireError('invalid_request', 'channel: the user has no such address.');
    return { user: await adoptUser(service, client, user, channel), to: { channel, value } };
  }
  const { email, phone } = readIdentifiers(body);
  const wanted = body.channel ?? (email ? 'email' : 'phone');
  const value = wanted === 'email' ? email : phone;
  if (!value) {
    if (email || phone) throw new WireError('invalid_request', 'channel: does not suit the address given.');
    throw new WireError(
      'invalid_request',
      'email: cannot be blank; phone: cannot be blank; user_id: cannot be blank.',
    );
  }
  const to = { channel: wanted, value };
  const user = await findOrInsertUser(service, app, client, to);
  return { user: await adoptUser(service, client, user, wanted), to };
}
