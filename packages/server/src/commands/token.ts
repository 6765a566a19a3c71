import { isLoopback } from '../urls.ts';
import { command } from './command.ts';
import type { ShownLink } from './manage.ts';

export const tokenCommands = [
  command({
    names: ['token'],
    summary: 'For development: log a user in and print the access token',
    details:
      'To try a route: curl -H "Authorization: Bearer $(passage-server token ada@example.com)" …. Creates the user if there is none. Works only if PASSAGE_BASE_URL is on this machine',
    positionals: ['[app id]', 'email'],
    async run({ args, environment, openApp }) {
      const { baseUrl = '' } = environment().options;
      if (!isLoopback(new URL(baseUrl).hostname)) {
        throw new Error(
          'PASSAGE_BASE_URL must be on this machine, such as http://localhost:3000. To let a user in elsewhere, use "users link"',
        );
      }
      const managed = await openApp();
      const { magic_link } = await managed.call<{ magic_link: ShownLink }>('POST', '/magic-links', {
        body: { email: args.email, type: 'login', send: false },
      });
      const { activateLink } = await import('../logins/links.ts');
      const { auth_token: token } = await activateLink(
        managed.service,
        managed.app,
        magic_link.secret,
        managed.service.operator,
      );
      return { text: token, data: { token, userId: magic_link.user_id } };
    },
  }),
];
