import type { NewApp } from '../index.ts';
import { columns, command, yes } from './command.ts';

const settingsHelp =
  'docs/server.md lists the settings, for example name=Shop authMethods.otp.ttl=120 additionalAuthOrigins=https://a.example,https://b.example';

export const appCommands = [
  command({
    names: ['apps list', 'apps'],
    summary: 'List apps',
    async run({ open }) {
      const apps = await (await open()).apps.list();
      return { text: apps.map((app) => `${app.id}  ${app.authOrigin}  ${app.name}`).join('\n'), data: apps };
    },
  }),
  command({
    names: ['apps create', 'create-app'],
    summary: 'Create an app from PASSAGE_APP_NAME and PASSAGE_AUTH_ORIGIN, or from settings',
    details: `Without --from-environment, PASSAGE_APP_ID and PASSAGE_API_KEY are ignored: they may belong to another app. ${settingsHelp}`,
    rest: 'setting=value',
    options: {
      file: { value: 'file', summary: 'Take ID and settings from a file that apps show --json printed' },
      'from-environment': { summary: 'Use PASSAGE_APP_ID and PASSAGE_API_KEY as ID and API key of the app' },
    },
    async run({ options, rest, environment, use, logger }) {
      const { options: given, app: readApp } = environment();
      const { readSettings, readSettingsFile } = await import('./settings.ts');
      const settings = options.file === undefined ? {} : await readSettingsFile(options.file);
      const app: NewApp = {
        ...readApp(options['from-environment'] === true),
        ...readSettings(rest, settings),
      };
      const { openServer } = await import('../server.ts');
      const { server } = await openServer({ ...given, app, logger }, { use: 'visit', firstApp: true });
      use(server);
      const made = server.created ?? (await server.apps.create(app));
      return { text: `PASSAGE_APP_ID=${made.appId}\nPASSAGE_API_KEY=${made.apiKey}`, data: made };
    },
  }),
  command({
    names: ['apps show'],
    summary: 'Show an app and its settings',
    positionals: ['[app id]'],
    async run({ open, openApp }) {
      const { id } = (await openApp()).app;
      const app = await (await open()).apps.get(id);
      const rows = Object.entries(app ?? {}).map(([name, value]) => [name, textOf(value)]);
      return { text: columns(rows), data: app };
    },
  }),
  command({
    names: ['apps update'],
    summary: 'Change settings of an app',
    details: `Other settings keep their values. ${settingsHelp}`,
    positionals: ['app id'],
    rest: 'setting=value',
    async run({ args, rest, open }) {
      const { readSettings } = await import('./settings.ts');
      const settings = readSettings(rest);
      if (rest.length === 0)
        throw new TypeError('Give at least one setting, for example authOrigin=https://www.example.com');
      const app = await (await open()).apps.update(args['app id'], settings);
      const names = Object.keys(settings).filter((name) => Object.hasOwn(app, name));
      const rows = names.map((name) => [name, textOf(app[name as keyof typeof app])]);
      return { text: columns(rows), data: app };
    },
  }),
  command({
    names: ['apps delete'],
    summary: 'Delete an app with its users, passkeys and keys',
    positionals: ['app id'],
    options: yes,
    async run({ args, open, confirm }) {
      const { apps } = await open();
      const id = args['app id'];
      const app = await apps.get(id);
      await confirm(`Delete ${app ? `the app "${app.name}"` : id} with all its users?`);
      await apps.delete(id);
      return { text: `Deleted the app ${id}.`, data: { id } };
    },
  }),
];

function textOf(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'string' ? value : JSON.stringify(value);
}
