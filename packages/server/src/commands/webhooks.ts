import type { WebhookRow } from '../storage/schema.ts';
import { randomText } from '../storage/secrets.ts';
import { suggest } from '../strict.ts';
import { columns, command } from './command.ts';
import { readLimit, readUsers } from './filters.ts';

/** What to do if the event webhook does not accept events. */
export const webhookCure =
  'check PASSAGE_EVENT_WEBHOOK_URL, its firewall and certificate, and the log of the receiver';

const states = ['waiting', 'sent', 'failed'] as const;

export const webhookCommands = [
  command({
    names: ['webhooks list', 'webhooks'],
    summary: 'List events of the event webhook, newest first',
    details:
      'Without an app ID, lists events of all apps. Sent events are kept for 7 days, failed ones for 30',
    positionals: ['[app id]'],
    options: {
      state: { value: 'state', summary: 'Only waiting, sent or failed events' },
      user: { value: 'user', summary: 'Only events of a user: ID, or current email address or phone number' },
      type: { value: 'type', summary: 'Only this type, or types that begin with it, such as user' },
      limit: { value: 'count', summary: 'Maximum number of events, up to 10000. Default is 50' },
    },
    async run({ args, options, openService }) {
      const appId = args['[app id]'] || undefined;
      const state = states.find((one) => one === options.state);
      if (options.state !== undefined && !state)
        throw new TypeError('--state must be waiting, sent or failed');
      const { webhookTypes } = await import('../events/types.ts');
      const checked = {
        appId,
        state,
        types: readTypes(options.type, webhookTypes),
        limit: readLimit(options.limit, 10_000) ?? 50,
      };
      const { db } = await openService();
      const { listQueue } = await import('../events/queue.ts');
      const userIds = await readUsers(db, options.user, appId);
      const events = (await listQueue(db, { ...checked, userIds })).map(show);
      return { text: columns(events.map(rowOf)) || 'No events.', data: events };
    },
  }),
  command({
    names: ['webhooks resend'],
    summary: 'Send events again: by ID, or all failed ones',
    details:
      'A running server sends them within a second. If none is running, they are sent at the next start',
    rest: 'event id',
    options: {
      failed: { summary: 'Send all failed events' },
      app: { value: 'app id', summary: 'With --failed: only events of this app' },
    },
    async run({ rest, options, openService }) {
      if ((rest.length === 0) === (options.failed !== true)) {
        throw new TypeError(
          'Give event IDs (see passage-server webhooks list), or --failed for all failed events',
        );
      }
      const service = await openService();
      const { resend } = await import('../events/queue.ts');
      let count = 0;
      if (options.failed) count = await resend(service, { appId: options.app });
      for (const id of rest) {
        const found = await resend(service, { id });
        if (found === 0) throw new Error(`No event has the ID ${id}: see passage-server webhooks list`);
        count += found;
      }
      return { text: `${count} events will be sent again.`, data: { events: count } };
    },
  }),
  command({
    names: ['webhooks test'],
    summary: 'Post a signed event of the type "test" now, and print the answer',
    async run({ environment }) {
      const { resolveOptions } = await import('../options.ts');
      const { eventWebhook } = resolveOptions(environment().options);
      if (!eventWebhook) {
        throw new Error(
          'No event webhook is configured: set PASSAGE_EVENT_WEBHOOK_URL and PASSAGE_EVENT_WEBHOOK_SECRET',
        );
      }
      const { postSigned } = await import('../delivery/signed.ts');
      const { answerOf } = await import('../events/sender.ts');
      const id = `evt_${randomText()}`;
      const body = { type: 'test', timestamp: new Date().toISOString(), data: {} };
      const failure = await postSigned(eventWebhook, id, JSON.stringify(body));
      if (failure) throw new Error(`The event was not accepted (${answerOf(failure)}): ${webhookCure}`);
      return { text: `The event ${id} was accepted.`, data: { id } };
    },
  }),
];

function readTypes(text: string | undefined, known: readonly string[]): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const types = known.filter((type) => type.startsWith(text));
  if (text !== '' && types.length > 0) return types;
  throw new TypeError(
    `--type must be an event of the webhook or the beginning of one: ${suggest(text, known)}`,
  );
}

function show(row: WebhookRow) {
  return {
    id: row.id,
    createdAt: new Date(row.created_at),
    type: row.type,
    appId: row.app_id,
    userId: row.user_id,
    state: row.state,
    tries: row.attempts,
    answer: row.answer,
    nextTry: row.state === 'waiting' ? new Date(row.due_at) : null,
  };
}

function rowOf(event: ReturnType<typeof show>): string[] {
  return [
    event.id,
    event.createdAt.toISOString(),
    event.state,
    event.type,
    event.appId,
    event.userId,
    `${event.tries} tries`,
    event.answer ?? '',
  ];
}
