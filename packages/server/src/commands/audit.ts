import type { Entry, EntryFilter } from '../events/audit.ts';
import { auditedTypes } from '../events/types.ts';
import { suggest } from '../strict.ts';
import { columns, command } from './command.ts';
import { readLimit, readMoment, readUsers } from './filters.ts';

export const auditCommands = [
  command({
    names: ['audit'],
    summary: 'List changes, with who made them and when, newest first',
    details:
      'Without an app ID, lists entries of all apps and of the server itself. Entries outlive their users and apps. Times are UTC',
    positionals: ['[app id]'],
    options: {
      user: {
        value: 'user',
        summary: 'Only changes of a user: ID, or current email address or phone number',
      },
      type: { value: 'type', summary: 'Only this type, or types that begin with it, such as webauthn' },
      actor: {
        value: 'actor',
        summary: 'Only changes by user, api_key, command, program or server; with an ID: api_key:<key id>',
      },
      since: {
        value: 'time',
        summary: 'Only from this time on: 2026-01-31, 2026-01-31T12:00:00Z, or 7d ago',
      },
      until: { value: 'time', summary: 'Only before this time' },
      limit: { value: 'count', summary: 'Maximum number of entries, up to 10000. Default is 50' },
    },
    async run({ args, options, openService }) {
      const now = Date.now();
      const checked = {
        appId: args['[app id]'] || undefined,
        types: readTypes(options.type),
        actor: readActor(options.actor),
        since: readMoment('--since', options.since, now),
        until: readMoment('--until', options.until, now),
        limit: readLimit(options.limit, 10_000) ?? 50,
      };
      const { db } = await openService();
      const { listEntries } = await import('../events/audit.ts');
      const userIds = await readUsers(db, options.user, checked.appId);
      const entries = await listEntries(db, { ...checked, userIds });
      return { text: columns(entries.map(rowOf)) || 'No entries.', data: entries };
    },
  }),
];

function rowOf({ createdAt, type, appId, userId, actor, ip, details }: Entry): string[] {
  const said = Object.keys(details).length > 0 ? JSON.stringify(details) : '';
  const by = actor.id === null ? actor.kind : `${actor.kind}:${actor.id}`;
  return [createdAt.toISOString(), type, appId ?? '-', userId ?? '-', `by ${by}`, ip ?? '-', said];
}

function readTypes(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const types = auditedTypes.filter((type) => type.startsWith(text));
  if (text === '' || types.length === 0) {
    throw new TypeError(
      `--type must be a type of the audit log or the beginning of one: ${suggest(text, auditedTypes)}`,
    );
  }
  return types;
}

const actors = ['user', 'api_key', 'command', 'program', 'server'] as const;

function readActor(text: string | undefined): EntryFilter['actor'] {
  if (text === undefined) return undefined;
  const [, name = '', id] = /^([^:]*)(?::(.+))?$/.exec(text) ?? [];
  const kind = actors.find((actor) => actor === name);
  if (!kind) {
    throw new TypeError(
      `--actor must be ${actors.slice(0, -1).join(', ')} or ${actors.at(-1)}, or user:<id> or api_key:<key id>`,
    );
  }
  return { kind, id };
}
