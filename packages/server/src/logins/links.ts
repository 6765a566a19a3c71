import { WireError } from '../errors.ts';
import type { App, Client, Service } from '../service.ts';
import { isPath } from '../settings.ts';
import type { Queries } from '../storage/database.ts';
import type { LinkRow, UserRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';
import { recordEvent } from '../users/events.ts';
import type { Identifier } from '../users/identifiers.ts';
import { requireUser } from '../users/users.ts';
import { logIn } from './logins.ts';
import type { AuthResult } from './sessions.ts';

/** What a new link is to do. */
export interface LinkRequest {
  userId: string;
  to: Identifier;
  type: LinkRow['type'];
  source: LinkRow['source'];
  /** Lifetime, in seconds. */
  ttl: number;
  /** Page that opens it: a path, which may have a query and a fragment. Default is the app's `loginUrl`. */
  path?: string | undefined;
  redirectUrl?: string | undefined;
}

export interface Link {
  id: string;
  secret: string;
  url: string;
  redirectUrl: string;
  expiresAt: number;
}

/** Makes a link. Id and secret are kept as hashes: each of them can log somebody in. */
export async function createLink(service: Service, app: App, request: LinkRequest): Promise<Link> {
  const [id, secret] = [randomText(), randomText()];
  const now = service.clock();
  const redirectUrl = request.redirectUrl || app.settings.redirectUrl;
  const expiresAt = now + request.ttl * 1000;
  await service.db
    .insertInto('links')
    .values({
      id_hash: service.secrets.hash('link id', id),
      secret_hash: service.secrets.hash('link', secret),
      app_id: app.id,
      user_id: request.userId,
      channel: request.to.channel,
      identifier: request.to.value,
      type: request.type,
      source: request.source,
      session_id: null,
      address: null,
      redirect_url: redirectUrl,
      created_at: now,
      expires_at: expiresAt,
      activated_at: null,
      claimed_at: null,
    })
    .execute();
  const url = linkUrl(
    service,
    app,
    request.path,
    request.type === 'login' ? 'psg_magic_link' : 'psg_verify_link',
    secret,
  );
  return { id, secret, url, redirectUrl, expiresAt };
}

function linkUrl(
  { options }: Service,
  { id, settings }: App,
  path: string | undefined,
  parameter: string,
  secret: string,
): string {
  const url = new URL(path || settings.loginUrl, settings.authOrigin);
  // The login page of this server is that of all its apps.
  if (url.origin === options.origin && url.pathname === `${options.basePath}/login`) {
    url.searchParams.set('app', id);
  }
  url.searchParams.set(parameter, secret);
  return url.href;
}

/** @throws {@link WireError} `invalid_request` when the page of a link is not a path of the app's origin */
export function requireLinkPath(path: string | undefined): void {
  if (path && !isPath(path))
    throw new WireError('invalid_request', 'magic_link_path: must be a relative URL.');
}

/**
 * Opens a link: it is good once, and two that come at the same moment log in once.
 *
 * @throws {@link WireError} `magic_link_not_found` also for one that was used or has expired
 */
export async function activateLink(
  service: Service,
  app: App,
  secret: string,
  client: Client,
): Promise<AuthResult> {
  const now = service.clock();
  return logIn(service, app, async (trx) => {
    const link = await trx
      .updateTable('links')
      .set({ activated_at: now })
      .where('secret_hash', '=', service.secrets.hash('link', secret))
      .where('app_id', '=', app.id)
      .where('activated_at', 'is', null)
      .where('expires_at', '>', now)
      .returningAll()
      .executeTakeFirst();
    if (!link) throw new WireError('magic_link_not_found');
    const user = await requireUser(trx, app.id, link.user_id);
    const verified = await proveAddress(service, trx, user, link, client);
    return { user, client, event: 'magic_link.completed', redirectUrl: link.redirect_url, verified };
  });
}

/**
 * Gives tokens to the device that asked for a link, once, after it was opened elsewhere.
 *
 * @throws {@link WireError} `magic_link_not_found`
 */
export async function claimLink(service: Service, app: App, id: string, client: Client): Promise<AuthResult> {
  const now = service.clock();
  return logIn(service, app, async (trx) => {
    const link = await trx
      .updateTable('links')
      .set({ claimed_at: now })
      .where('id_hash', '=', service.secrets.hash('link id', id))
      .where('app_id', '=', app.id)
      .where('activated_at', 'is not', null)
      .where('claimed_at', 'is', null)
      .where('expires_at', '>', now)
      .returningAll()
      .executeTakeFirst();
    if (!link) throw new WireError('magic_link_not_found', 'Magic link is not activated');
    const user = await requireUser(trx, app.id, link.user_id);
    return { user, client, event: 'magic_link.claimed', redirectUrl: link.redirect_url };
  });
}

/** Marks the address that the link was sent to as the user's own. A link for a new address makes it the user's. */
async function proveAddress(
  service: Service,
  trx: Queries,
  user: UserRow,
  { channel, identifier, type }: LinkRow,
  client: Client,
): Promise<'email' | 'phone' | undefined> {
  if (user[channel] === identifier) return channel;
  // A login link for an address that the user has given up since proves nothing.
  if (type === 'login') return undefined;
  const taken = await trx
    .selectFrom('users')
    .select('id')
    .where('app_id', '=', user.app_id)
    .where(channel, '=', identifier)
    .executeTakeFirst();
  if (taken) throw new WireError('invalid_request', `${channel}: is already in use.`);
  await trx
    .updateTable('users')
    .set({ [channel]: identifier })
    .where('app_id', '=', user.app_id)
    .where('id', '=', user.id)
    .execute();
  const event = {
    appId: user.app_id,
    userId: user.id,
    type: `${channel}.changed`,
    action: 'other',
    client,
  } as const;
  await recordEvent(service, trx, event);
  return channel;
}
