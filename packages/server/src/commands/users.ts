import { columns, command, yes } from './command.ts';
import type { ListedUser, ShownLink, ShownUser } from './manage.ts';

const whom = ['[app id]', 'user'] as const;
const userHelp = 'Name the user by ID, email address or phone number';

const changes = {
  email: { value: 'address', summary: 'Email address; a new one is not verified' },
  phone: { value: 'number', summary: 'Phone number, such as +15005550006' },
  metadata: { value: 'json', summary: 'Metadata as a JSON object; null removes a field' },
} as const;

export const userCommands = [
  command({
    names: ['users list'],
    summary: 'List users, newest first',
    positionals: ['[app id]'],
    options: {
      find: { value: 'text', summary: 'Only users whose address contains the text; % matches any text' },
      status: { value: 'status', summary: 'Only users with the status active, inactive or pending' },
      limit: { value: 'count', summary: 'Users on a page, up to 500. Default is 50' },
      page: { value: 'number', summary: 'Page to show. Default is 1' },
    },
    async run({ options, openApp }) {
      const app = await openApp();
      const { find, status, limit = '50', page = '1' } = options;
      if (status && !/^(active|inactive|pending)$/.test(status)) {
        throw new TypeError('--status must be active, inactive or pending');
      }
      const { users, total_users } = await app.call<{ users: ListedUser[]; total_users: number }>(
        'GET',
        '/users',
        { query: { limit, page, ...(status && { status }), ...(find && { identifier: `like:${find}` }) } },
      );
      const rows = users.map((user) => [
        user.id,
        user.email || user.phone,
        user.status,
        `${user.login_count} logins`,
      ]);
      const text = [columns(rows), `${users.length} of ${total_users} users`].filter(Boolean).join('\n');
      return { text, data: { users, total: total_users } };
    },
  }),
  command({
    names: ['users show'],
    summary: 'Show a user, with passkeys and the latest events',
    details: userHelp,
    positionals: whom,
    async run({ args, openApp }) {
      const app = await openApp();
      const params = { user_id: await app.userId(args.user) };
      const { user } = await app.call<{ user: ShownUser }>('GET', '/users/{user_id}', { params });
      return { text: describe(user), data: user };
    },
  }),
  command({
    names: ['users create'],
    summary: 'Create a user, who is pending until the first login',
    positionals: ['[app id]'],
    options: changes,
    async run({ options, openApp }) {
      const body = readChanges(options);
      const { user } = await (await openApp()).call<{ user: ShownUser }>('POST', '/users', { body });
      return { text: describe(user), data: user };
    },
  }),
  command({
    names: ['users update'],
    summary: 'Change addresses and metadata of a user',
    details: userHelp,
    positionals: whom,
    options: changes,
    async run({ args, options, openApp }) {
      const body = readChanges(options);
      if (Object.keys(body).length === 0) throw new TypeError('Set --email, --phone or --metadata');
      const app = await openApp();
      const params = { user_id: await app.userId(args.user) };
      const { user } = await app.call<{ user: ShownUser }>('PATCH', '/users/{user_id}', { params, body });
      return { text: describe(user), data: user };
    },
  }),
  ...(['activate', 'deactivate'] as const).map((verb) =>
    command({
      names: [`users ${verb}`],
      summary:
        verb === 'activate'
          ? 'Let a user log in again'
          : 'Prevent a user from logging in, and end their sessions',
      details: userHelp,
      positionals: whom,
      async run({ args, openApp }) {
        const app = await openApp();
        const params = { user_id: await app.userId(args.user) };
        const { user } = await app.call<{ user: ShownUser }>('PATCH', `/users/{user_id}/${verb}`, { params });
        return { text: `User ${user.id} is ${user.status}.`, data: user };
      },
    }),
  ),
  command({
    names: ['users delete'],
    summary: 'Delete a user with all their data',
    details: userHelp,
    positionals: whom,
    options: yes,
    async run({ args, openApp, confirm }) {
      const app = await openApp();
      const id = await app.userId(args.user);
      await confirm(`Delete user ${id} with passkeys and metadata?`);
      await app.call('DELETE', '/users/{user_id}', { params: { user_id: id } });
      return { text: `Deleted user ${id}.`, data: { id } };
    },
  }),
  command({
    names: ['users link'],
    summary: 'Create a login link that works once, for a user who lost every passkey',
    details: `Whoever holds the link is the user: give it only to someone whose identity you checked. ${userHelp}`,
    positionals: whom,
    options: {
      send: { summary: 'Send the link to the user instead of printing it' },
      minutes: { value: 'count', summary: 'Lifetime, up to 10080. Default is that of the app’s magic links' },
    },
    async run({ args, options, environment, openApp }) {
      const send = options.send === true;
      if (send && !environment().options.delivery) throw new Error(noDelivery);
      const ttl = options.minutes === undefined ? undefined : readMinutes(options.minutes);
      const app = await openApp();
      const user_id = await app.userId(args.user);
      const { magic_link: link } = await app.call<{ magic_link: ShownLink }>('POST', '/magic-links', {
        body: { user_id, type: 'login', send, ttl },
      });
      const lifetime = `It works once, for ${link.ttl} minutes.`;
      const { url, ttl: minutes, identifier } = link;
      if (send)
        return { text: `Sent a link to ${identifier}. ${lifetime}`, data: { to: identifier, minutes } };
      return { text: `${url}\n${lifetime} Whoever holds it is the user.`, data: { url, minutes } };
    },
  }),
  command({
    names: ['users sessions end'],
    summary: 'End all sessions, codes and links of a user',
    details: `Access tokens stay valid for reading until they expire. ${userHelp}`,
    positionals: whom,
    async run({ args, openApp }) {
      const app = await openApp();
      const id = await app.userId(args.user);
      await app.call('DELETE', '/users/{user_id}/tokens', { params: { user_id: id } });
      return { text: `Ended all sessions of user ${id}.`, data: { id } };
    },
  }),
];

export const noDelivery =
  'No delivery is configured: set PASSAGE_SMTP_URL and PASSAGE_SMTP_FROM, or PASSAGE_WEBHOOK_URL and PASSAGE_WEBHOOK_SECRET';

function readMinutes(text: string): number {
  const minutes = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (minutes < 1 || minutes > 10_080)
    throw new TypeError('--minutes must be a whole number of minutes, 1 to 10080');
  return minutes;
}

function readChanges({ email, phone, metadata }: { email?: string; phone?: string; metadata?: string }) {
  return {
    ...(email !== undefined && { email }),
    ...(phone !== undefined && { phone }),
    ...(metadata !== undefined && { user_metadata: readObject(metadata) }),
  };
}

function readObject(text: string): object {
  try {
    const value = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Reported below, like JSON that is not an object.
  }
  throw new TypeError(`--metadata must be a JSON object, for example '{"plan":"pro"}'`);
}

const never = '0001-01-01T00:00:00Z';
const time = (text: string) => (text === never ? 'never' : text);

function describe(user: ShownUser): string {
  const address = (value: string, verified: boolean) =>
    value ? `${value} (${verified ? '' : 'not '}verified)` : 'none';
  return [
    columns([
      ['ID', user.id],
      ['Email', address(user.email, user.email_verified)],
      ['Phone', address(user.phone, user.phone_verified)],
      ['Status', user.status],
      ['Created', time(user.created_at)],
      ['Last login', `${time(user.last_login_at)}, ${user.login_count} in all`],
      ['Metadata', JSON.stringify(user.user_metadata)],
    ]),
    ...user.webauthn_devices.map(
      (one) => `Passkey ${one.id}  ${one.friendly_name}, last used ${time(one.last_login_at)}`,
    ),
    ...user.recent_events.map((one) => `Event ${one.created_at}  ${one.type}  ${one.ip_addr}`.trimEnd()),
  ].join('\n');
}
