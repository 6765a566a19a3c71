import { columns, command, yes } from './command.ts';

export const keyCommands = [
  command({
    names: ['api-keys create', 'create-key'],
    summary: 'Create another API key',
    details: 'The key is shown only once',
    positionals: ['app id'],
    options: { name: { value: 'name', summary: 'Name in the list. Default is "API key"' } },
    async run({ args, options, open }) {
      const made = await (await open()).apps.createApiKey(args['app id'], options.name);
      return { text: `PASSAGE_API_KEY=${made.apiKey}`, data: made };
    },
  }),
  command({
    names: ['api-keys list'],
    summary: 'List API keys, with their last use',
    positionals: ['[app id]'],
    async run({ open, openApp }) {
      const { id } = (await openApp()).app;
      const keys = await (await open()).apps.listApiKeys(id);
      const rows = keys.map((key) => [
        key.id,
        `${key.prefix}…`,
        key.name,
        key.lastUsedAt ? `last used ${key.lastUsedAt.toISOString()}` : 'never used',
      ]);
      return { text: columns(rows), data: keys };
    },
  }),
  command({
    names: ['api-keys revoke'],
    summary: 'Revoke an API key: requests with it get 401 from now on',
    positionals: ['app id', 'key id'],
    options: yes,
    async run({ args, open, confirm }) {
      const { apps } = await open();
      const key = (await apps.listApiKeys(args['app id'])).find(({ id }) => id === args['key id']);
      if (key) await confirm(`Revoke the API key ${key.prefix}… (${key.name})?`);
      await apps.revokeApiKey(args['app id'], args['key id']);
      return { text: `Revoked the API key ${args['key id']}.`, data: { id: args['key id'] } };
    },
  }),
  command({
    names: ['keys list'],
    summary: 'List the published signing keys',
    positionals: ['[app id]'],
    async run({ open, openApp }) {
      const { id } = (await openApp()).app;
      const keys = await (await open()).apps.listSigningKeys(id);
      const rows = keys.map((key) => [
        key.id,
        `signs from ${key.signsAt.toISOString()}`,
        key.retiresAt ? `published until ${key.retiresAt.toISOString()}` : '',
      ]);
      return { text: columns(rows), data: keys };
    },
  }),
  command({
    names: ['keys revoke'],
    summary: 'Delete a signing key: access tokens it signed become invalid',
    details: 'The last key cannot be deleted: rotate first. Other processes follow within 15 seconds',
    positionals: ['app id', 'key id'],
    options: yes,
    async run({ args, open, confirm }) {
      const { apps } = await open();
      await confirm(
        `Delete the signing key ${args['key id']}, and invalidate all access tokens that it signed?`,
      );
      await apps.revokeSigningKey(args['app id'], args['key id']);
      return { text: `Deleted the signing key ${args['key id']}.`, data: { id: args['key id'] } };
    },
  }),
  command({
    names: ['keys rotate', 'rotate-key'],
    summary: 'Publish a new signing key, which signs ten minutes later',
    details:
      'Access tokens stay valid. After a leak, --now deletes the old keys: all access tokens become invalid at once',
    positionals: ['app id'],
    options: {
      now: { summary: 'Delete the old keys and sign with the new one at once' },
      yes: { summary: 'Do not ask, even if a published key does not sign yet' },
    },
    async run({ args, options, open, confirm }) {
      const [appId, immediately] = [args['app id'], options.now === true];
      const { apps } = await open();
      const waiting = (await apps.listSigningKeys(appId)).find(({ signsAt }) => signsAt > new Date());
      if (waiting && !immediately) {
        await confirm(
          `Key ${waiting.id} is already published and signs from ${waiting.signsAt.toISOString()}. Publish another one?`,
          ', or wait',
        );
      }
      const { id, signsAt } = await apps.rotateSigningKey(appId, { immediately });
      const text = immediately
        ? `Key ${id} signs from now on. The old keys are deleted: all access tokens of ${appId} are invalid.`
        : `Published key ${id}. It signs from ${signsAt.toISOString()}. The old keys stay published until their last token has expired.`;
      return { text, data: { id, signsAt } };
    },
  }),
  command({
    names: ['secret rotate', 'rotate-secret'],
    summary: 'Encrypt the signing keys with PASSAGE_NEXT_SECRET',
    details: 'Stop all servers first. Ends all sessions, codes and links. Passkeys and API keys stay valid',
    async run({ environment, open }) {
      const next = environment().nextSecret();
      // A running server would keep using the old secret.
      const count = await (await open('serve')).rotateSecret(next);
      return {
        text: `Encrypted ${count} signing keys with the new secret. Set PASSAGE_SECRET to it before the next start.`,
        data: { signingKeys: count },
      };
    },
  }),
];
