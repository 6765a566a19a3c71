import { command } from './command.ts';

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
    summary: 'Make an app, named by PASSAGE_APP_NAME and PASSAGE_AUTH_ORIGIN',
    details: 'PASSAGE_APP_ID and PASSAGE_API_KEY are ignored, because back ends of another app read them.',
    options: {
      'from-environment': { summary: 'Make it with the ID PASSAGE_APP_ID and the key PASSAGE_API_KEY' },
    },
    async run({ options, environment, use, logger }) {
      const { options: given, app: readApp } = environment();
      const app = readApp(options['from-environment'] === true);
      const { openServer } = await import('../server.ts');
      const server = use(await openServer({ ...given, app, logger }, { use: 'visit', firstApp: true }));
      const made = server.created ?? (await server.apps.create(app));
      return { text: `PASSAGE_APP_ID=${made.appId}\nPASSAGE_API_KEY=${made.apiKey}`, data: made };
    },
  }),
];
