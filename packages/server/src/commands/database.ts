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
    summary: 'Replace the SQLite database with a backup; stop the server first',
    details:
      'Ends all sessions, codes and links. The replaced database is kept in its folder. If a check fails, nothing changes',
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
        ? `the newest event is from ${held.newestEvent.toISOString()}`
        : 'no events';
      const restored = `Restored: ${held.apps} apps, ${held.users} users, ${held.passkeys} passkeys; ${newest}. Ended all sessions, codes and links.`;
      const kept = held.replaced ? `\nThe replaced database is kept as ${held.replaced}` : '';
      return { text: restored + kept, data: held };
    },
  }),
  command({
    names: ['maintain'],
    summary: 'Run the scheduled jobs once, where no server runs all the time',
    details:
      'A running server does this by itself. With serverless functions, run it from cron: it deletes expired rows and rotates old signing keys',
    async run({ open }) {
      const { completed, failed } = await (await open('serve')).runScheduled();
      const lines = [
        ...completed.map((name) => `${name}: done`),
        ...failed.map((name) => `${name}: failed; repeat with --verbose to see why`),
      ];
      const text = lines.join('\n') || 'Another process runs the scheduled jobs.';
      return { text, data: { completed, failed }, failed: failed.length > 0 };
    },
  }),
  command({
    names: ['restored'],
    summary: 'After pg_restore: end the sessions, codes and links of the backup',
    async run({ open }) {
      await (await open()).voidSecrets();
      return { text: 'Ended the sessions, codes and links of the backup.', data: {} };
    },
  }),
];
