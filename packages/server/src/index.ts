/**
 * Self-hosted service that speaks the Passage protocol.
 *
 * @module @passage-auth/server
 */

export type { ElementCustomization } from './appearance.ts';
export type {
  ApiKeyDescription,
  AppDescription,
  PassageApps,
  SigningKeyDescription,
} from './apps/administration.ts';
export type {
  Delivery,
  Language,
  Message,
  MessageKind,
  Notice,
  NoticeKind,
  OutboxMessage,
  Removed,
  SecretKind,
} from './delivery/delivery.ts';
export { DeliveryError, type DeliveryFailure } from './delivery/error.ts';
export { type Outbox, type OutboxOptions, outbox } from './delivery/outbox.ts';
export { type SmtpOptions, smtp } from './delivery/smtp.ts';
export { type WebhookOptions, webhook } from './delivery/webhook.ts';
export {
  ApiKeyNotFoundError,
  AppExistsError,
  AppNotFoundError,
  LastSigningKeyError,
  SigningKeyNotFoundError,
} from './errors.ts';
export type { ServerEvent, ServerRequestEvent } from './events/channels.ts';
export type { ImportedUser, PassageServerOptions, RateLimit, RateLimits, ServerLogger } from './options.ts';
export type { ScheduledRun } from './schedule.ts';
export { createPassageServer, type PassageServer } from './server.ts';
export type { AppSettings, LayoutItem, MetadataField, MetadataType, NewApp } from './settings.ts';
