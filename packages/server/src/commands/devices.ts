import { columns, command, yes } from './command.ts';
import type { ShownDevice } from './manage.ts';

export const deviceCommands = [
  command({
    names: ['devices list'],
    summary: 'List passkeys of a user',
    positionals: ['[app id]', 'user'],
    async run({ args, openApp }) {
      const app = await openApp();
      const params = { user_id: await app.userId(args.user) };
      const { devices } = await app.call<{ devices: ShownDevice[] }>('GET', '/users/{user_id}/devices', {
        params,
      });
      const rows = devices.map((one) => [
        one.id,
        one.type,
        one.friendly_name,
        `${one.usage_count} uses, the last ${one.last_login_at}`,
      ]);
      return { text: columns(rows) || 'The user has no passkeys.', data: devices };
    },
  }),
  command({
    names: ['devices delete'],
    summary: 'Delete a passkey of a user, and end the sessions it opened',
    positionals: ['[app id]', 'user', 'device id'],
    options: yes,
    async run({ args, openApp, confirm }) {
      const app = await openApp();
      const [user_id, device_id] = [await app.userId(args.user), args['device id']];
      await confirm(`Delete passkey ${device_id} of user ${user_id}?`);
      await app.call('DELETE', '/users/{user_id}/devices/{device_id}', { params: { user_id, device_id } });
      return { text: `Deleted passkey ${device_id}.`, data: { id: device_id } };
    },
  }),
];
