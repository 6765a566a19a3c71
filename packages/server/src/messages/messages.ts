import type { Message, SecretKind } from '../delivery/delivery.ts';
import { WireError } from '../errors.ts';
import { maskAddress } from '../events/mask.ts';
import { type App, type Service, track } from '../service.ts';
import type { UserRow } from '../storage/schema.ts';
import type { Identifier } from '../users/identifiers.ts';
import { findLanguage } from './language.ts';
import { renderMessage } from './render.ts';

/** A code or link to send. */
export interface Post {
  to: Identifier;
  kind: SecretKind;
  /** Code, or whole link. */
  secret: string;
  language: string | undefined;
  expiresAt: number;
  /** With strict enumeration, an unknown address gets no message, and that takes as long. */
  decoy?: boolean | undefined;
  /** Account for which a link proves an address. */
  account?: UserRow | undefined;
}

/**
 * Hands a message over.
 *
 * @throws {@link WireError} `service_unavailable`, unless enumeration is strict
 */
export async function post(
  service: Service,
  app: App,
  { to, kind, secret, language, expiresAt, decoy, account: user }: Post,
): Promise<void> {
  const chosen = findLanguage(language ?? '') ?? app.settings.defaultLanguage;
  const ttl = Math.floor((expiresAt - service.clock()) / 1000);
  const account = user && maskAddress(user.email ?? user.phone ?? '');
  const { name: appName } = app.settings;
  const content = { kind, channel: to.channel, language: chosen, appName, secret, account, ttl };
  const message: Message = {
    appId: app.id,
    appName,
    channel: to.channel,
    to: to.value,
    kind,
    language: chosen,
    expiresAt: new Date(expiresAt),
    ...(kind === 'otp' ? { code: secret } : { url: secret }),
    ...(account !== undefined && { account }),
    ...renderMessage(content),
  };
  if (decoy) return;
  const sent = deliver(service, message).catch(() => {
    throw new WireError('service_unavailable', 'The message could not be delivered', { retryAfter: 30 });
  });
  // With strict enumeration the answer does not wait, because that would tell whether a message is sent.
  if (service.options.strict) sent.catch(() => undefined);
  else await sent;
}

/** Hands a message over. A failure is logged and rethrown. The end of the server waits for it. */
export function deliver(service: Service, message: Message): Promise<void> {
  return track(service, send(service, message));
}

async function send(service: Service, message: Message): Promise<void> {
  const { appId: app, kind, channel } = message;
  try {
    await service.delivery.send(message);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown';
    service.options.logger.error({ app, kind, channel, reason }, 'Message could not be delivered');
    throw error;
  }
}
