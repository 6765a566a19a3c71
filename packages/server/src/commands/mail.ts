import type { DeliveryFailure } from '../delivery/error.ts';
import { DeliveryError } from '../delivery/error.ts';
import { readEmail, readPhone } from '../users/identifiers.ts';
import { command } from './command.ts';
import { noDelivery } from './users.ts';

export const mailCommands = [
  command({
    names: ['mail test'],
    summary: 'Send a test message to an address through the configured delivery',
    details: 'With a webhook, the kind of the message is "test", and the address may be a phone number',
    positionals: ['address'],
    async run({ args, environment }) {
      const { delivery, baseUrl } = environment().options;
      if (!delivery) throw new Error(noDelivery);
      const [email, phone] = [readEmail(args.address), readPhone(args.address)];
      const to = phone ?? email;
      if (!to)
        throw new TypeError('<address> must be an email address, or a phone number such as +15005550006');
      await delivery
        .send({
          appId: 'test',
          appName: 'Passage server',
          channel: phone ? 'phone' : 'email',
          to,
          kind: 'test',
          language: 'en',
          subject: 'Test message of your Passage server',
          text: `If you can read this, the Passage server at ${baseUrl} can send messages.`,
        })
        .catch((error: unknown) => {
          throw error instanceof DeliveryError ? explain(error) : error;
        });
      return { text: `The delivery accepted a test message for ${to}. Check that it arrives.`, data: { to } };
    },
  }),
];

/** How to fix a failure, if the error text does not say it. */
const cures: Partial<Readonly<Record<DeliveryFailure, string>>> = {
  unreachable: 'check host, port and firewall of PASSAGE_SMTP_URL or PASSAGE_WEBHOOK_URL',
  unavailable: 'try again later, and see the log of the mail server or webhook',
  timeout: 'check host, port and firewall of PASSAGE_SMTP_URL or PASSAGE_WEBHOOK_URL',
  credentials: 'check user and password in PASSAGE_SMTP_URL; special characters must be percent-encoded',
  rejected: 'check that the mail server may send for PASSAGE_SMTP_FROM, or the log of the webhook',
  channel: 'text messages need PASSAGE_WEBHOOK_URL',
};

/** Adds to an error of the delivery how to fix it. */
export function explain({ message, failure, status }: DeliveryError): Error {
  const answer = status === undefined ? '' : ` (status ${status})`;
  const cure = cures[failure];
  return new Error(`${message}${answer}${cure ? `: ${cure}` : ''}`);
}
