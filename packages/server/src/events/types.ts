interface EventType {
  /** What happened. `docs/security.md` lists it, and warnings use it as their message. */
  text: string;
  /** Whether `recent_events` of the user shows it. */
  recent?: true;
  /** Whether it is a change that the audit log keeps. */
  audit?: true;
  /** Whether it may be an attack: it is logged as a warning. */
  suspect?: true;
  /** Webhook event to send for it. */
  webhook?: string;
  /** `fields` of its `user.updated`: names of the changed fields in the Management API. */
  fields?: readonly string[];
}

/** All types of events that are logged and counted. */
export const eventTypes = {
  'user.created': { text: 'A user was created', audit: true, webhook: 'user.created' },
  'user.adopted': {
    text: 'The back end or a command took over a user who signed up or was imported',
    audit: true,
  },
  'users.imported': { text: 'Users were imported', audit: true },
  'signups.deleted': { text: 'Unfinished sign-ups were deleted', audit: true },
  'user.activated': {
    text: 'A user was activated again',
    recent: true,
    audit: true,
    webhook: 'user.activated',
  },
  'user.deactivated': {
    text: 'A user was deactivated',
    recent: true,
    audit: true,
    webhook: 'user.deactivated',
  },
  'user.deleted': { text: 'A user was deleted', audit: true, webhook: 'user.deleted' },
  'email.changed': {
    text: 'An email address was changed',
    recent: true,
    audit: true,
    webhook: 'user.updated',
    fields: ['email', 'email_verified'],
  },
  'email.rewritten': {
    text: 'An upgrade rewrote an email address in the current form',
    audit: true,
    webhook: 'user.updated',
    fields: ['email'],
  },
  'phone.changed': {
    text: 'A phone number was changed',
    recent: true,
    audit: true,
    webhook: 'user.updated',
    fields: ['phone', 'phone_verified'],
  },
  'email.proven': {
    text: 'An email address was proven for the first time',
    audit: true,
    webhook: 'user.updated',
    fields: ['email_verified'],
  },
  'phone.proven': {
    text: 'A phone number was proven for the first time',
    audit: true,
    webhook: 'user.updated',
    fields: ['phone_verified'],
  },
  'metadata.changed': {
    text: 'Metadata of a user was changed',
    audit: true,
    webhook: 'user.updated',
    fields: ['user_metadata'],
  },
  'unproven.removed': {
    text: 'Passkeys, sessions or metadata from before an address was proven were removed',
    audit: true,
    webhook: 'user.updated',
  },

  'user.registered': {
    text: 'A user registered by passkey and logged in',
    recent: true,
    webhook: 'user.login',
  },
  'webauthn.login.completed': { text: 'A user logged in by passkey', recent: true, webhook: 'user.login' },
  'otp.completed': { text: 'A user logged in by one-time code', recent: true, webhook: 'user.login' },
  'magic_link.completed': { text: 'A user opened a magic link', recent: true, webhook: 'user.login' },
  'magic_link.claimed': {
    text: 'A user logged in on the device that requested the magic link',
    recent: true,
    webhook: 'user.login',
  },
  'magic_link.created': { text: 'The back end or a command created a magic link', audit: true },
  'session.ended': { text: 'A user signed out' },
  'sessions.revoked': { text: 'All sessions of a user were ended', recent: true, audit: true },

  'webauthn.register.completed': {
    text: 'A passkey was added',
    recent: true,
    audit: true,
    webhook: 'passkey.added',
  },
  'webauthn.renamed': { text: 'A passkey was renamed', audit: true },
  'webauthn.deleted': {
    text: 'A user deleted a passkey',
    recent: true,
    audit: true,
    webhook: 'passkey.deleted',
  },
  'webauthn.revoked': {
    text: 'The back end or a command deleted a passkey of a user',
    recent: true,
    audit: true,
    webhook: 'passkey.deleted',
  },
  'passkey.backup_changed': { text: 'A passkey became synced, or is no longer synced' },

  'app.created': { text: 'An app was created', audit: true },
  'app.updated': { text: 'Settings of an app were changed', audit: true },
  'app.deleted': { text: 'An app was deleted, with its users', audit: true },
  'api_key.created': { text: 'An API key was created', audit: true },
  'api_key.revoked': { text: 'An API key was revoked', audit: true },
  'signing_key.rotated': { text: 'A new signing key was published', audit: true },
  'signing_key.revoked': { text: 'A signing key was deleted', audit: true },
  'secret.rotated': { text: 'The secret of the server was changed', audit: true },
  'backup.restored': { text: 'A backup was restored: sessions, codes and links ended', audit: true },

  'refresh_token.reused': {
    text: 'A refresh token was used again, and its session was ended',
    audit: true,
    suspect: true,
    webhook: 'refresh_token.reused',
  },
  'code.exhausted': { text: 'The last attempt at a code was wrong', suspect: true },
  'limit.reached': { text: 'A rate limit was reached', suspect: true },
  'api_key.wrong': { text: 'A wrong API key was sent', suspect: true },
  'passkey.counter_went_back': { text: 'The signature counter of a synced passkey went back', suspect: true },
} as const satisfies Record<string, EventType>;

export type EventName = keyof typeof eventTypes;

export function typeOf(name: EventName): EventType {
  return eventTypes[name];
}

/** Types of changes that the audit log keeps. */
export const auditedTypes = (Object.keys(eventTypes) as EventName[]).filter((name) => typeOf(name).audit);

/** Events of the event webhook. */
export const webhookTypes = [
  ...new Set((Object.keys(eventTypes) as EventName[]).flatMap((name) => typeOf(name).webhook ?? [])),
].sort();
