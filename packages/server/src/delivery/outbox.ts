import { z } from 'zod';
import { parseStrict, strict } from '../strict.ts';
import type { Delivery, Message, OutboxMessage, SecretKind } from './delivery.ts';

const isFunction = (value: unknown) => typeof value === 'function';
const limitRule = 'must be a whole number, 0 to 1000000';

const schema = strict({
  /** Number of messages to keep; older ones are dropped. Default is `100`. */
  limit: z.int(limitRule).min(0, limitRule).max(1_000_000, limitRule).default(100),
  /** Receives one line for each message; `false` prints nothing. Default is `console.info`. */
  print: z
    .custom<((line: string) => void) | false>(
      (value) => value === false || isFunction(value),
      'must be a function or false',
    )
    .default(() => console.info),
  /** Current time, in milliseconds since the epoch. Default is `Date.now`. */
  clock: z.custom<() => number>(isFunction, 'must be a function').default(() => Date.now),
});

export interface OutboxOptions extends z.input<typeof schema> {}

export interface Outbox extends Delivery {
  /** Sent messages, oldest first. */
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
  const { limit, print, clock } = parseStrict(schema, options, 'option');
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

const names: Record<SecretKind, string> = {
  otp: 'Code',
  magic_link: 'Login link',
  verify_identifier: 'Verification link',
};

function line({ kind, to, code, url, notice, subject }: Message): string {
  const text = notice
    ? `Notice for ${to}: ${subject}`
    : kind === 'test'
      ? `Test for ${to}`
      : `${names[kind as SecretKind]} for ${to}: ${code ?? url}`;
  // An address comes from a visitor: escape sequences in it must not reach the terminal.
  return `[outbox] ${text}`.replace(/\p{Cc}/gu, '\u{fffd}');
}
