import type { Message } from '../delivery/delivery.ts';
import { WireError } from '../errors.ts';
import { awaitDelivery } from '../logins/enumeration.ts';
import { countUp } from '../logins/limits.ts';
import type { App, Client, Service } from '../service.ts';
import type { Identifier } from '../users/identifiers.ts';
import { findLanguage } from './language.ts';
import { renderMessage } from './render.ts';

/** A code or link to send. */
export interface Post {
  to: Identifier;
  kind: Message['kind'];
  /** Code, or whole link. */
  secret: string;
  language: string | undefined;
  expiresAt: number;
}

/** Counts a message, for an address that has an account and for one that has none alike. @throws {@link WireError} `too_many_requests` */
export async function countMessage(
  service: Service,
  app: App,
  to: Identifier,
  client: Client,
): Promise<void> {
  await countUp(service, 'messagesPerIp', app.id, client.ip);
  await countUp(service, 'messagesPerAddress', app.id, to.value);
  await countUp(service, 'messagesPerApp', app.id, '');
}

/**
 * Hands a message over.
 *
 * @throws {@link WireError} `service_unavailable`, unless enumeration is strict
 */
export async function post(
  service: Service,
  app: App,
  { to, kind, secret, language, expiresAt }: Post,
): Promise<void> {
  const chosen = findLanguage(language ?? '') ?? app.settings.defaultLanguage;
  const ttl = Math.floor((expiresAt - service.clock()) / 1000);
  const content = { kind, channel: to.channel, language: chosen, appName: app.settings.name, secret, ttl };
  const message: Message = {
    appId: app.id,
    appName: app.settings.name,
    channel: to.channel,
    to: to.value,
    kind,
    language: chosen,
    expiresAt: new Date(expiresAt),
    ...(kind === 'otp' ? { code: secret } : { url: secret }),
    ...renderMessage(content),
  };
  const sent = service.delivery.send(message).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : 'unknown';
    service.options.logger.error(
      { app: app.id, kind, channel: to.channel, reason },
      'Message could not be delivered',
    );
    throw new WireError('service_unavailable', 'The message could not be delivered', { retryAfter: 30 });
  });
  await awaitDelivery(service, sent);
}
