import type { Delivery, Message, MessageKind, OutboxMessage } from './delivery.ts';

export interface OutboxOptions {
  /** Number of messages to keep; the oldest are dropped. Default is 100. */
  limit?: number | undefined;
  /** Gets one line for each message, or `false` to be quiet. Default is `console.info`. */
  print?: ((line: string) => void) | false | undefined;
  /** Current time, in milliseconds since the epoch. Default is `Date.now`. */
  clock?: (() => number) | undefined;
}

export interface Outbox extends Delivery {
  /** What was sent, oldest first. */
  readonly messages: readonly OutboxMessage[];
}

/**
 * Returns the delivery for development: it sends nothing, keeps the messages and prints one line for each, code or link
 * included, so that logging in works without a mail account.
 *
 * It is the server's default. Codes and links are secrets, so use `smtp` or `webhook` in production. The line goes to
 * `print` alone, never to the server's log.
 */
export function outbox(options: OutboxOptions = {}): Outbox {
  const { limit = 100, print = console.info, clock = Date.now } = options;
  const messages: OutboxMessage[] = [];
  return {
    messages,
    async send(message) {
      messages.push({ ...message, sentAt: new Date(clock()) });
      if (messages.length > limit) messages.shift();
      if (print) print(line(message));
    },
  };
}

const names: Record<MessageKind, string> = {
  otp: 'Code',
  magic_link: 'Login link',
  verify_identifier: 'Verification link',
};

function line({ kind, to, code, url }: Message): string {
  // An address comes from a visitor: escape sequences in it must not reach the terminal.
  return `[outbox] ${names[kind]} for ${to}: ${code ?? url}`.replace(/\p{Cc}/gu, '\u{fffd}');
}
