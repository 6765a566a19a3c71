/** Languages that messages and the locale texts of the front ends exist in. */
export const languages = ['de', 'en', 'es', 'it', 'pl', 'pt', 'zh'] as const;

export type Language = (typeof languages)[number];

/** What a message is for: a one-time passcode, a login link, or a link that proves an address. */
export type MessageKind = 'otp' | 'magic_link' | 'verify_identifier';

/** A message to one user, with its texts already written in the user's language. */
export interface Message {
  appId: string;
  appName: string;
  channel: 'email' | 'phone';
  /** E-mail address, or phone number in E.164 form. */
  to: string;
  kind: MessageKind;
  language: Language;
  /** One-time passcode, for `otp`. A secret: whoever reads it can log in. */
  code?: string;
  /** Link to open, for `magic_link` and `verify_identifier`. A secret, like `code`. */
  url?: string;
  /** Masked address of the account that asked, for `verify_identifier`. Show it: whoever opens the link gives that account the address. */
  account?: string;
  expiresAt: Date;
  subject: string;
  text: string;
  /** The text as an HTML document, for e-mail. */
  html?: string;
}

/** A message that the outbox kept. */
export interface OutboxMessage extends Message {
  sentAt: Date;
}

/**
 * Brings messages to users. Have your own by implementing `send`.
 *
 * `send` resolves once the message is handed over, and rejects when it could not be. The text of the error is logged, so it
 * must carry neither the code nor the link.
 */
export interface Delivery {
  send(message: Message): Promise<void>;
}
