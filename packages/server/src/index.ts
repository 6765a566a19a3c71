/**
 * Self-hosted service that speaks the Passage protocol.
 *
 * @module @passage-auth/server
 */
export type { ApiKeyDescription, AppDescription, PassageApps } from './apps/administration.ts';
export type { ElementCustomization } from './apps/appearance.ts';
export type {
  AppSettings,
  LayoutItem,
  MetadataField,
  MetadataType,
} from './apps/settings.ts';
export type { Delivery, Message, MessageKind, OutboxMessage } from './delivery/delivery.ts';
export { DeliveryError, type DeliveryFailure } from './delivery/error.ts';
export { type Outbox, type OutboxOptions, outbox } from './delivery/outbox.ts';
export { type SmtpOptions, smtp } from './delivery/smtp.ts';
export { type WebhookOptions, webhook } from './delivery/webhook.ts';
export type { RateLimit, RateLimits } from './logins/limits.ts';
export type { Language } from './messages/language.ts';
export type { NewApp, PassageServerOptions, ServerLogger } from './options.ts';
export { createPassageServer, type PassageServer } from './server.ts';
export type { ImportedUser } from './users/import.ts';
