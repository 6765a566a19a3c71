import { expect, it } from 'vitest';
import { baseUrl, secret } from '../test/server.ts';
import { readEnvironment } from './environment.ts';
import { createPassageServer } from './index.ts';
import type { NewApp } from './options.ts';

const good = { baseUrl, secret, database: ':memory:' };

it.each([
  ['baseUrl', undefined],
  ['baseUrl', 'example.com'],
  ['baseUrl', 'http://example.com'],
  ['baseUrl', 'https://example.com/?a=1'],
  ['baseUrl', 'https://example.com/#a'],
  ['baseUrl', 'https://ada:pw@example.com'],
  ['secret', undefined],
  ['secret', ''],
  ['secret', 'c2hvcnQ='],
  ['secret', Buffer.alloc(32, 1).toString('base64')],
  ['secret', 'not base64 at all, only a long sentence'],
  ['database', 'mysql://localhost/passage'],
  ['database', 'sqlite:passage.db'],
  ['trustedProxies', ['example.com']],
  ['trustedProxies', ['10.0.0.0/33']],
])('refuses the option %s: %j', async (option, value) => {
  await expect(createPassageServer({ ...good, [option]: value } as never)).rejects.toThrow(`"${option}"`);
});

it.each([
  'https://example.com',
  'https://example.com/a/b/',
  'http://localhost:3000',
  'http://127.0.0.1:3000',
  'http://[::1]:3000/x',
])('takes the base URL %s', async (url) => {
  const server = await createPassageServer({ ...good, baseUrl: url });
  const own = url.replace(/\/$/, '');
  expect((await server.fetch(new Request(`${own}/livez`))).status).toBe(200);
  expect((await server.apps.list())[0]).toMatchObject({
    authOrigin: new URL(url).origin,
    loginUrl: `${new URL(`${own}/login`).pathname}`,
  });
  await server.close();
});

it.each<[keyof NewApp, unknown]>([
  ['authOrigin', 'http://example.com'],
  ['authOrigin', 'https://example.com/login'],
  ['additionalAuthOrigins', ['*']],
  ['redirectUrl', '//evil.test'],
  ['loginUrl', 'login'],
  ['sessionTimeoutLength', 4],
  ['deviceAddMaxAge', 0],
  ['defaultLanguage', 'fr'],
  ['userMetadataSchema', [{ fieldName: 'a b', type: 'string' }]],
  ['name', ' '],
  ['id', '../x'],
  ['apiKey', 'short'],
  ['signingKey', { kty: 'EC' }],
])('refuses the app setting %s: %j', async (setting, value) => {
  await expect(createPassageServer({ ...good, app: { [setting]: value } })).rejects.toThrow(`"${setting}"`);
});

const environment = { PASSAGE_SECRET: secret, PASSAGE_BASE_URL: baseUrl };
const noFile = () => {
  throw new Error('ENOENT');
};

it.each([
  [{ PASSAGE_SECRET: undefined }, 'PASSAGE_SECRET or PASSAGE_SECRET_FILE must be set'],
  [{ PASSAGE_SECRET: 'c2hvcnQ=' }, 'PASSAGE_SECRET: '],
  [{ PASSAGE_BASE_URL: '' }, 'PASSAGE_BASE_URL must be set'],
  [{ PASSAGE_BASE_URL: 'http://example.com' }, 'PASSAGE_BASE_URL: '],
  [{ DATABASE_URL: 'mysql://localhost/passage' }, 'DATABASE_URL: '],
  [{ PORT: 'x' }, 'PORT must be a number'],
  [{ PORT: '70000' }, 'PORT must be a number'],
  [{ PASSAGE_ENUMERATION: 'maybe' }, 'PASSAGE_ENUMERATION must be passage or strict'],
  [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL must be'],
  [{ PASSAGE_SECRET_FILE: '/x' }, 'exclude each other'],
  [{ PASSAGE_SECRET: '', PASSAGE_SECRET_FILE: '/x' }, 'PASSAGE_SECRET_FILE must name a file'],
  [{ PASSAGE_SMTP_URL: 'smtp://localhost' }, 'PASSAGE_SMTP_FROM must be set'],
  [{ PASSAGE_SMTP_URL: 'http://localhost', PASSAGE_SMTP_FROM: 'a@b.co' }, 'PASSAGE_SMTP_URL:'],
  [{ PASSAGE_WEBHOOK_URL: 'https://example.com' }, 'PASSAGE_WEBHOOK_SECRET must be set'],
])('names the variable that is wrong: %j', (variables, message) => {
  expect(() => readEnvironment({ ...environment, ...variables }, noFile)).toThrow(message);
});

it('reads the secret from a file, and fills in the rest', () => {
  const { PASSAGE_BASE_URL } = environment;
  const read = readEnvironment({ PASSAGE_BASE_URL, PASSAGE_SECRET_FILE: '/run/secret' }, () => `${secret}\n`);
  expect(read).toMatchObject({
    options: { baseUrl, secret, enumeration: 'passage', trustedProxies: [] },
    listen: { port: 3000, host: undefined },
    logLevel: 'info',
  });
});
