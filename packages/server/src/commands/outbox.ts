import type { OutboxMessage } from '../delivery/delivery.ts';
import { readEmail, readPhone } from '../users/identifiers.ts';
import { columns, command } from './command.ts';

export const outboxCommands = [
  command({
    names: ['outbox'],
    summary: 'For development: show the codes and links that a server without delivery printed',
    details:
      'With neither SMTP nor webhook, passage-server start keeps its last 100 messages in the database, encrypted, for a day or until the code or link expires',
    positionals: ['[app id]'],
    options: {
      latest: { summary: 'Print only the code or link of the last message' },
      to: { value: 'address', summary: 'Only messages to this email address or phone number' },
    },
    async run({ options, environment, openApp }) {
      if (environment().options.delivery) {
        throw new Error(
          'Messages are sent by SMTP or webhook and not kept: unset PASSAGE_SMTP_URL or PASSAGE_WEBHOOK_URL to keep them during development',
        );
      }
      const { service, app } = await openApp();
      const { listStored } = await import('../delivery/stored.ts');
      const { to } = options;
      const address = to && (readEmail(to) ?? readPhone(to) ?? to);
      const messages = (await listStored(service, app.id)).filter((one) => !address || one.to === address);
      if (!options.latest) return { text: describe(messages), data: messages };
      const last = messages.findLast(secretOf);
      if (!last) throw new Error('There is no code or link, or it has expired: request one');
      return { text: secretOf(last) ?? '', data: last };
    },
  }),
];

function secretOf({ code, url }: OutboxMessage): string | undefined {
  return code ?? url;
}

function describe(messages: readonly OutboxMessage[]): string {
  if (messages.length === 0) return 'No messages.';
  // Times are stored as text.
  return columns(messages.map((one) => [`${one.sentAt}`, one.kind, one.to, secretOf(one) ?? one.subject]));
}
