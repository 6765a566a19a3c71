import { command } from './command.ts';

export const keyCommands = [
  command({
    names: ['api-keys create', 'create-key'],
    summary: 'Make another API key',
    positionals: ['app id'],
    async run({ args, open }) {
      const made = await (await open()).apps.createApiKey(args['app id']);
      return { text: `PASSAGE_API_KEY=${made.apiKey}`, data: made };
    },
  }),
  command({
    names: ['keys rotate', 'rotate-key'],
    summary: 'Publish a new signing key, which signs ten minutes later',
    details:
      'Access tokens stay valid. After a leak, --now drops the old keys: all access tokens are void at once.',
    positionals: ['app id'],
    options: {
      now: { summary: 'Drop the old keys and sign with the new one at once' },
      yes: { summary: 'Do not ask, though a key was published that does not sign yet' },
    },
    async run({ args, options, open, confirm }) {
      const [appId, immediately] = [args['app id'], options.now === true];
      const { apps } = await open();
      const waiting = (await apps.listSigningKeys(appId)).find(({ signsAt }) => signsAt > new Date());
      if (waiting && !immediately) {
        await confirm(
          `Key ${waiting.id} is published already and signs from ${waiting.signsAt.toISOString()} on. Publish another one?`,
        );
      }
      const { id, signsAt } = await apps.rotateSigningKey(appId, { immediately });
      const text = immediately
        ? `Key ${id} signs from now on. The old keys are gone: all access tokens of ${appId} are void.`
        : `Published key ${id}. It signs from ${signsAt.toISOString()} on. The old keys stay published until their last token has expired.`;
      return { text, data: { id, signsAt } };
    },
  }),
  command({
    names: ['secret rotate', 'rotate-secret'],
    summary: 'Encrypt the signing keys with PASSAGE_NEXT_SECRET',
    details: 'Stop every server first. Sessions, codes and links end; passkeys and API keys stay.',
    async run({ environment, open }) {
      const next = environment().nextSecret();
      // Not beside a server: it would go on with the old secret.
      const count = await (await open('serve')).rotateSecret(next);
      return {
        text: `${count} keys encrypted with the new secret. Start with it from now on.`,
        data: { signingKeys: count },
      };
    },
  }),
];
