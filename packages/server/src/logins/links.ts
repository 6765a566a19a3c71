import type { Removed } from '../delivery/delivery.ts';
import { WireError } from '../errors.ts';
import { record } from '../events/record.ts';
import { notify } from '../messages/notices.ts';
import { type App, type Client, clockSkew, type Service } from '../service.ts';
import { isPath } from '../settings.ts';
import type { Queries } from '../storage/database.ts';
import type { CodeRow, LinkRow, SessionRow, UserRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';
import type { Identifier } from '../users/identifiers.ts';
import { lockUser } from '../users/users.ts';
import { signAccessToken } from './accesstoken.ts';
import { endPending } from './endings.ts';
import { logIn } from './logins.ts';
import { proveBySession, requireReplaceable } from './proof.ts';
import { type AuthResult, findLiveSession } from './sessions.ts';
import { freeAddress, requireMethod } from './signup.ts';

/** What a new link does. */
export interface LinkRequest {
  /** Absent for a decoy, which cannot be opened. */
  userId: string | undefined;
  to: Identifier;
  type: LinkRow['type'];
  /** Default is `login`. */
  action?: LinkRow['action'];
  source: LinkRow['source'];
  /** Lifetime, in seconds. */
  ttl: number;
  /** Page that opens it: a path, which may have a query and a fragment. Default is the app's `loginUrl`. */
  path?: string | undefined;
  redirectUrl?: string | undefined;
  /** Session that requested the proof of an address. */
  sessionId?: string | undefined;
  /** The user's current address of the same channel. */
  address?: string | null | undefined;
}

export interface Link {
  id: string;
  secret: string;
  url: string;
  redirectUrl: string;
  expiresAt: number;
}

/** Creates a link. ID and secret are stored as hashes, because each of them can log somebody in. */
export async function createLink(
  service: Service,
  queries: Queries,
  app: App,
  request: LinkRequest,
): Promise<Link> {
  const [id, secret] = [randomText(), randomText()];
  const now = service.clock();
  const redirectUrl = request.redirectUrl || app.settings.redirectUrl;
  const expiresAt = now + request.ttl * 1000;
  const { userId } = request;
  const own = {
    id_hash: service.secrets.hash('link id', id),
    app_id: app.id,
    channel: request.to.channel,
    identifier: request.to.value,
    action: request.action ?? 'login',
    created_at: now,
    expires_at: expiresAt,
  } as const;
  const secretHash = service.secrets.hash('link', secret);
  if (userId === undefined) await insertDecoy(queries, own, secretHash);
  else
    await queries
      .insertInto('links')
      .values({
        ...own,
        secret_hash: secretHash,
        user_id: userId,
        type: request.type,
        source: request.source,
        session_id: request.sessionId ?? null,
        address: request.address ?? null,
        redirect_url: redirectUrl,
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

/** A link needs a user, a code does not. So the decoy of a link is a code without a user: writing it takes as long, and its ID cannot be used. */
async function insertDecoy(
  queries: Queries,
  own: Omit<CodeRow, 'user_id' | 'code_hash' | 'attempts'>,
  code_hash: string,
): Promise<void> {
  await queries
    .insertInto('codes')
    .values({ ...own, user_id: null, code_hash, attempts: 0 })
    .execute();
}

function linkUrl(
  { options }: Service,
  { id, settings }: App,
  path: string | undefined,
  parameter: string,
  secret: string,
): string {
  const url = new URL(path || settings.loginUrl, settings.authOrigin);
  // All apps share this server's login page.
  if (url.origin === options.origin && url.pathname === `${options.basePath}/login`) {
    url.searchParams.set('app', id);
  }
  url.searchParams.set(parameter, secret);
  return url.href;
}

/** @throws {@link WireError} `invalid_request` if the page of a link is not a path of the app's origin */
export function requireLinkPath(path: string | undefined): void {
  if (path && !isPath(path))
    throw new WireError('invalid_request', 'magic_link_path: must be a relative URL.');
}

/** How a link is used: it is opened, or the device that requested it polls for the result. Each works once. */
type Use = 'activated_at' | 'claimed_at';

/**
 * Returns the page that a visitor's link opens. The email may go to somebody else, so visitors can only choose from
 * the app's own pages. Official front ends send the full URL of their page; its query and fragment are removed.
 *
 * @throws {@link WireError} `invalid_request` for a path that the app does not list
 */
export function requireListedPath({ settings }: App, path: string | undefined): string {
  if (!path) return settings.loginUrl;
  requireLinkPath(path);
  const listed = [settings.loginUrl, ...settings.allowedLinkPaths];
  const page = listed.find((one) => one === path) ?? listed.find((one) => pathOf(one) === pathOf(path));
  if (!page) throw new WireError('invalid_request', 'magic_link_path: is not one of the app.');
  return page;
}

function pathOf(text: string): string {
  return new URL(text, 'https://app.invalid').pathname;
}

/**
 * Opens a link. It works once, even if two requests arrive at the same moment.
 *
 * @throws {@link WireError} `magic_link_not_found`, also if it was used, has expired or was ended
 */
export async function activateLink(
  service: Service,
  app: App,
  secret: string,
  client: Client,
): Promise<AuthResult> {
  const link = await findLink(service, app, 'secret_hash', service.secrets.hash('link', secret));
  return useLink(service, app, link, 'activated_at', client);
}

/**
 * Returns tokens to the device that requested a link, once, after the link was opened elsewhere.
 *
 * @throws {@link WireError} `magic_link_not_found`
 */
export async function claimLink(service: Service, app: App, id: string, client: Client): Promise<AuthResult> {
  const link = await findLink(service, app, 'id_hash', service.secrets.hash('link id', id));
  // Checked first, so that the time does not reveal whether the link is a decoy.
  if (link.activated_at === null) throw new WireError('magic_link_not_found');
  return useLink(service, app, link, 'claimed_at', client);
}

async function findLink(
  service: Service,
  app: App,
  column: 'secret_hash' | 'id_hash',
  hash: string,
): Promise<LinkRow> {
  const link = await service.db
    .selectFrom('links')
    .selectAll()
    .where(column, '=', hash)
    .where('app_id', '=', app.id)
    .executeTakeFirst();
  if (!link) throw new WireError('magic_link_not_found');
  return link;
}

function useLink(service: Service, app: App, link: LinkRow, use: Use, client: Client): Promise<AuthResult> {
  if (link.source === 'visitor' && link.type === 'verify_identifier')
    return verifyAddress(service, app, link, use, client);
  // The back end may send links even if visitors may not, to invite users and recover accounts.
  if (link.source === 'visitor') requireMethod(app, 'magicLink');
  return logIn(service, app, async (trx) => {
    const user = await takeLink(service, trx, link, use);
    if (user[link.channel] !== link.identifier) throw new WireError('magic_link_not_found');
    const method = link.source === 'visitor' ? 'magic_link' : 'back_end';
    const refreshable = link.type === 'login';
    return {
      user,
      client,
      event: use === 'activated_at' ? 'magic_link.completed' : 'magic_link.claimed',
      redirectUrl: link.redirect_url,
      proof: { channel: link.channel, action: link.action, linkHash: link.id_hash },
      session: { method, refreshable },
    };
  });
}

/**
 * Gives an address to the user who requested its proof. This is not a login, because somebody else may have opened the link.
 * So the answer has an access token of the session that requested it, and no refresh token.
 *
 * @throws {@link WireError} `magic_link_not_found`, also if that session has ended or the user's address has changed
 */
async function verifyAddress(
  service: Service,
  app: App,
  link: LinkRow,
  use: Use,
  client: Client,
): Promise<AuthResult> {
  // Read first: inside the transaction it would wait for a connection while holding one.
  const key = await service.keys.signing(app.id);
  const { user, session, removed } = await service.db.transaction().execute(async (trx) => {
    const user = await takeLink(service, trx, link, use);
    const session = await findLiveSession(service, trx, app, user.id, link.session_id ?? '');
    const expected = use === 'activated_at' ? link.address : link.identifier;
    if (!session || user[link.channel] !== expected) throw new WireError('magic_link_not_found');
    const removed =
      use === 'activated_at' ? await changeAddress(service, trx, app, user, session, link, client) : [];
    return { user, session, removed };
  });
  const address = { channel: link.channel, value: link.identifier };
  if (use === 'activated_at' && user[link.channel] !== link.identifier)
    await notify(service, app, user, 'address_changed', { visitor: client, address });
  if (removed.length > 0) await notify(service, app, user, 'unproven_removed', { visitor: client, removed });
  const { id, created_at: authTime } = session;
  return {
    auth_token: await signAccessToken(service, app, key, link.user_id, { id, authTime }),
    redirect_url: link.redirect_url,
  };
}

/** Marks a link as used. Its user is locked. */
async function takeLink(service: Service, trx: Queries, link: LinkRow, use: Use): Promise<UserRow> {
  const now = service.clock();
  const user = await lockUser(trx, link.app_id, link.user_id);
  const taken = await trx
    .updateTable('links')
    .set({ [use]: now })
    .where('id_hash', '=', link.id_hash)
    .where(use, 'is', null)
    .where('expires_at', '>', now)
    .where('created_at', '<=', now + clockSkew)
    .returning('id_hash')
    .executeTakeFirst();
  if (!user || !taken) throw new WireError('magic_link_not_found');
  return user;
}

/** @returns What was removed from the account. */
async function changeAddress(
  service: Service,
  trx: Queries,
  app: App,
  user: UserRow,
  session: SessionRow,
  { channel, identifier, id_hash }: LinkRow,
  client: Client,
): Promise<Removed[]> {
  const event = { appId: user.app_id, userId: user.id, client };
  if (user[channel] !== identifier) {
    requireReplaceable(user, session, channel);
    if (!(await freeAddress(service, trx, user, { channel, value: identifier }, client)))
      throw new WireError('invalid_request', `${channel}: is already in use.`);
    await endPending(trx, user.app_id, user.id, service.clock(), { except: id_hash });
    await record(service, trx, { ...event, type: `${channel}.changed`, addresses: [identifier] });
  }
  const changed = await trx
    .updateTable('users')
    .set({
      [channel]: identifier,
      [`${channel}_verified`]: 1,
      ...(user[channel] !== identifier && { [`${channel}_proven_at`]: null, [`${channel}_open`]: 0 }),
      updated_at: service.clock(),
    })
    .where('app_id', '=', user.app_id)
    .where('id', '=', user.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  const proof = { channel, linkHash: id_hash };
  const removed = await proveBySession(service, trx, app, changed, session, proof, client);
  await record(service, trx, { ...event, type: 'magic_link.completed' });
  return removed;
}
