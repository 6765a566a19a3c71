import type { Message, Notice, NoticeKind, Removed } from '../delivery/delivery.ts';
import { WireError } from '../errors.ts';
import { maskAddress } from '../events/mask.ts';
import { countUp } from '../limits/limits.ts';
import type { App, Client, Service } from '../service.ts';
import type { UserRow } from '../storage/schema.ts';
import { browserName } from '../users/browser.ts';
import type { Identifier } from '../users/identifiers.ts';
import { deliver } from './messages.ts';
import { renderNotice } from './render.ts';

/** Details besides the kind. */
interface NoticeDetails {
  /** Visitor who caused it. Absent if the back end caused it. */
  visitor?: Client | undefined;
  /** New address, for `address_changed`. */
  address?: Identifier | undefined;
  /** For `unproven_removed`. */
  removed?: readonly Removed[] | undefined;
}

/**
 * Informs a user of a change to their account, by email, or by text message if they have no email address. Call it
 * after the commit. Never rejects: failures are logged.
 *
 * @param user The user before the change: the old address gets the notice of a new one.
 */
export async function notify(
  service: Service,
  app: App,
  user: UserRow,
  kind: NoticeKind,
  details: NoticeDetails = {},
): Promise<void> {
  const to = recipient(user, details.address?.channel);
  if (!to) return;
  try {
    await countNotice(service, app, user, details.visitor);
    // The request does not wait: mail servers may take seconds.
    deliver(service, compose(service, app, to, kind, details)).catch(() => undefined);
  } catch (error) {
    const reason = error instanceof WireError ? error.code : 'The database does not answer';
    service.options.logger.warn({ app: app.id, user: user.id, kind, reason }, 'Notice was not sent');
  }
}

function recipient(user: UserRow, preferred: Identifier['channel'] = 'email'): Identifier | undefined {
  const other = preferred === 'email' ? 'phone' : 'email';
  const channel = user[preferred] === null ? other : preferred;
  const value = user[channel];
  return value === null ? undefined : { channel, value };
}

/** A stranger may have signed up with the address of somebody else: notices must not become a way to send that person mail. */
async function countNotice(service: Service, app: App, user: UserRow, visitor?: Client): Promise<void> {
  const known = user.origin !== 'signup' || user.email_verified || user.phone_verified;
  if (!known) await countUp(service, 'notices', app.id, visitor?.ip);
  await countUp(service, 'notices', app.id, `user ${user.id}`);
}

function compose(
  service: Service,
  app: App,
  to: Identifier,
  kind: NoticeKind,
  { visitor, address, removed }: NoticeDetails,
): Message {
  const { name: appName, defaultLanguage: language } = app.settings;
  const browser = browserName(visitor?.userAgent ?? '');
  const notice: Notice = {
    at: new Date(service.clock()),
    ...(browser && { browser }),
    ...(address && { address: maskAddress(address.value) }),
    ...(removed && { removed }),
  };
  const { channel, value } = to;
  return {
    appId: app.id,
    appName,
    channel,
    to: value,
    kind,
    language,
    notice,
    ...renderNotice({ kind, channel, language, appName, notice }),
  };
}
