/** Languages that messages and the locale texts of the front ends exist in. */
export const languages = ['de', 'en', 'es', 'it', 'pl', 'pt', 'zh'] as const;

export type Language = (typeof languages)[number];

/** Messages that carry a secret: a one-time code, a login link, or a link that proves an address. */
export type SecretKind = 'otp' | 'magic_link' | 'verify_identifier';

/** Messages that inform users of changes to their account. They contain no secret and no link. */
export type NoticeKind =
  | 'address_changed'
  | 'passkey_added'
  | 'passkey_deleted'
  | 'sessions_ended'
  | 'refresh_reused'
  | 'unproven_removed';

/** What a message is for. `test` is sent by `passage-server mail test`, to the operator only. */
export type MessageKind = SecretKind | NoticeKind | 'test';

/** What was removed from an account when its address was proven for the first time. */
export type Removed = 'passkeys' | 'sessions' | 'addresses' | 'metadata';

/** Details of a notice, for your own texts. */
export interface Notice {
  at: Date;
  /** Browser and system that caused it, such as `Chrome on Linux`. Absent if unknown, or if the back end caused it. */
  browser?: string;
  /** Masked new address, for `address_changed`. */
  address?: string;
  /** For `unproven_removed`. */
  removed?: readonly Removed[];
}

/** A message to one user, with its texts already written in the user's language. */
export interface Message {
  appId: string;
  appName: string;
  channel: 'email' | 'phone';
  /** Email address, or phone number in E.164 form. For `address_changed` it is the old one. */
  to: string;
  kind: MessageKind;
  language: Language;
  /** One-time code, for `otp`. A secret: anyone who reads it can log in. */
  code?: string;
  /** Link to open, for `magic_link` and `verify_identifier`. A secret, like `code`. */
  url?: string;
  /** Masked address of the account that asked, for `verify_identifier`. Show it: opening the link gives the address to that account. */
  account?: string;
  /** When the code or link expires. Absent from notices. */
  expiresAt?: Date;
  /** Present in notices only. */
  notice?: Notice;
  subject: string;
  text: string;
  /** The text as an HTML document, for email. */
  html?: string;
}

/** A message in the outbox. */
export interface OutboxMessage extends Message {
  sentAt: Date;
}

/**
 * Delivers messages to users. Implement `send` for your own.
 *
 * `send` resolves once the message is handed over, and rejects otherwise. The text of the error is logged, so it
 * must contain neither the code nor the link. Send every kind: `subject`, `text` and `html` suit all of them, and further kinds may come. If
 * a notice cannot be sent, the request that caused it still succeeds.
 */
export interface Delivery {
  send(message: Message): Promise<void>;
  /** Rejects if messages cannot be handed over now. It sends none. `passage-server doctor` calls it, if it is implemented. */
  verify?(): Promise<void>;
}
