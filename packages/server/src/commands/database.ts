import { resolveOptions } from '../options.ts';
import { createSecrets } from '../storage/secrets.ts';
import { command } from './command.ts';

export const databaseCommands = [
  command({
    names: ['backup'],
    summary: 'Copy a SQLite database that is in use',
    positionals: ['file'],
    async run({ args, open }) {
      await (await open()).backup(args.file);
      return { text: `Copied the database to ${args.file}.`, data: { file: args.file } };
    },
  }),
  command({
    names: ['restore'],
    summary: 'Replace a SQLite database by a backup; stop the server first',
    details:
      'Sessions, codes and links end. The replaced database is kept beside it. If a check fails, nothing changes.',
    positionals: ['file'],
    async run({ args, environment }) {
      const { database, secret } = resolveOptions(environment().options);
      const { restore } = await import('../storage/restore.ts');
      const { writeEntry } = await import('../events/audit.ts');
      const entry = {
        type: 'backup.restored',
        actor: { kind: 'command' },
        client: { ip: undefined, userAgent: 'passage-server command' },
        details: {},
      } as const;
      const held = await restore(args.file, database, createSecrets(secret), async (queries) => {
        await writeEntry(queries, Date.now(), entry);
      });
      const newest = held.newestEvent
        ? `the newest event is of ${held.newestEvent.toISOString()}`
        : 'no events';
      const restored = `Restored: ${held.apps} apps, ${held.users} users, ${held.passkeys} passkeys; ${newest}. Sessions, codes and links are void.`;
      const kept = held.replaced ? `\nThe replaced database is kept as ${held.replaced}` : '';
      return { text: restored + kept, data: held };
    },
  }),
  command({
    names: ['maintain'],
    summary: 'Do the scheduled work once, if no server runs all the time',
    details:
      'A running server does this by itself. Run it from cron beside serverless functions: it deletes expired rows and rotates old signing keys',
    async run({ open }) {
      const { completed, failed } = await (await open('serve')).runScheduled();
      const lines = [
        ...completed.map((name) => `${name}: done`),
        ...failed.map((name) => `${name}: failed, --verbose says why`),
      ];
      const text = lines.join('\n') || 'Another process does the scheduled work.';
      return { text, data: { completed, failed }, failed: failed.length > 0 };
    },
  }),
  command({
    names: ['restored'],
    summary: 'After pg_restore: void the sessions, codes and links of the backup',
    async run({ open }) {
      await (await open()).voidSecrets();
      return { text: 'Sessions, codes and links of the backup are void.', data: {} };
    },
  }),
];
