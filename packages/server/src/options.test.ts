import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { describe, expect, it } from 'vitest';
import { baseUrl, secret, signingKey } from '../test/server.ts';
import {
  createPassageServer,
  type NewApp,
  type OutboxOptions,
  outbox,
  type PassageServerOptions,
  type SmtpOptions,
  smtp,
  type WebhookOptions,
  webhook,
} from './index.ts';

const good = { baseUrl, secret, database: ':memory:' };
const start = (options: object) => createPassageServer({ ...good, ...options } as PassageServerOptions);

/** Values that every member of a type refuses: a new one without a line here does not compile. */
type Wrong<T> = { [Name in keyof Required<T>]: unknown[] };

const rows = (table: Readonly<Record<string, unknown[]>>) =>
  Object.entries(table).flatMap(([name, values]) => values.map((value) => [name, value] as const));

/** A member at a depth, as an object: `at('a.b', 1)` is `{ a: { b: 1 } }`. */
const at = (path: string, value: unknown): object =>
  path.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as object;

const notText = [7, true, null, {}, []];
const notBoolean = ['false', 'true', 0, 1, null];
const notWhole = [Number.NaN, Number.POSITIVE_INFINITY, 1.5, '60', -1, null];
const notFunction = [1, 'x', {}, null];
const notObject = ['x', 1, true, null, []];

const wrongOptions: Wrong<PassageServerOptions> & Record<string, unknown[]> = {
  baseUrl: [
    undefined,
    ...notText,
    '',
    'example.com',
    'http://example.com',
    'http://passage:3000',
    'ftp://example.com',
    'https://example.com/?a=1',
    'https://example.com/?',
    'https://example.com/#a',
    'https://ada:pw@example.com',
  ],
  secret: [
    undefined,
    ...notText,
    '',
    'c2hvcnQ=',
    Buffer.alloc(32, 1).toString('base64'),
    'not base64 at all, only a long sentence',
  ],
  database: [
    ...notText,
    '',
    'mysql://localhost/passage',
    'sqlite:passage.db',
    '"postgres://localhost/passage"',
    "'passage.db'",
    ' passage.db',
    'passage.db\r',
    ' postgres://localhost/passage',
    'postgres://localhost/passage\r',
    'postgres://localhost/passage ',
    'db.example.com:5432/passage',
    'passage:pass@localhost/passage',
    'host=localhost dbname=passage',
    '$(DATABASE_URL)',
    '//mysql://localhost',
    'postgres://passage:p#ss@localhost/passage',
    'postgres://passage:12#34@localhost/passage',
    'postgres://passage:p%ss@localhost/passage',
    'postgres://passage:p/ss@localhost/passage',
    'postgres://passage:12?34@localhost/passage',
    'postgres://passage:p ss@localhost/passage',
  ],
  app: notObject,
  delivery: [...notFunction, { send: 'x' }],
  eventWebhook: notObject,
  'eventWebhook.url': [...notText, '', 'https://ada:pw@example.com'],
  enumeration: ['Strict', 'none', '', true, null],
  trustedProxies: ['10.0.0.1', null],
  rateLimits: ['off', true, 0, null],
  'rateLimits.messagesPerAddress': [5, '5/60', { count: 5 }],
  'rateLimits.messagesPerAddress.count': [...notWhole, 0],
  allowPrivateHttp: notBoolean,
  signingKeyRotation: [...notWhole, 0, 3_651],
  metrics: notBoolean,
  auditRetention: [...notWhole, 0, 3_651],
  logger: [...notFunction, { info() {}, warn() {} }],
  clock: notFunction,
};

const wrongSettings: Wrong<NewApp> & Record<string, unknown[]> = {
  id: [...notText, '', '../x', 'a b', 'x'.repeat(65)],
  apiKey: [...notText, 'short'],
  signingKey: [{ kty: 'EC' }, {}, 'x', null],
  name: [...notText, '', ' ', 'a\nb', 'x'.repeat(101)],
  authOrigin: [...notText, '', 'http://example.com', 'https://example.com/login', 'example.com'],
  additionalAuthOrigins: ['https://example.com', null],
  allowedCallbackUrls: ['https://example.com', null],
  redirectUrl: [...notText, '', 'x', '//evil.test', '/\\evil.test'],
  loginUrl: [...notText, '', 'login', '//evil.test'],
  allowedIdentifier: ['emial', 'Email', '', null],
  requiredIdentifier: ['none', '', null],
  requireIdentifierVerification: notBoolean,
  unprovenPasskeys: ['removed', '', true, null],
  publicSignup: notBoolean,
  profileManagement: notBoolean,
  allowedLinkPaths: ['/in', null, ['login'], ['//evil.example'], ['/.//evil.example'], [7]],
  authMethods: notObject,
  'authMethods.otp.enabled': notBoolean,
  'authMethods.otp.ttl': [...notWhole, 59, 901],
  'authMethods.magicLink.enabled': notBoolean,
  'authMethods.magicLink.ttl': [...notWhole, 59, 86_401],
  'authMethods.passkeys.enabled': notBoolean,
  'authMethods.passkeys': notObject,
  sessionTimeoutLength: [...notWhole, 4, 1_441],
  refreshEnabled: notBoolean,
  refreshAbsoluteLifetime: [...notWhole, 59],
  refreshInactivityLifetime: [...notWhole, 59],
  refreshReuseInterval: [...notWhole, -1, 61],
  credentialChangeMaxAge: [...notWhole, 0],
  deviceAddMaxAge: [...notWhole, 0],
  userVerification: ['require', 'discouraged', '', null],
  defaultLanguage: ['fr', 'EN', '', null],
  userMetadataSchema: ['x', {}, null],
  layouts: notObject,
  'layouts.profile': ['x', {}, null],
  passageBranding: notBoolean,
  elementCustomization: notObject,
  'elementCustomization.passage_body_text_color': [7, 'red', '#12', '#fff;}', null],
  'elementCustomization.passage_container_max_width': [...notWhole, '300px'],
  'elementCustomizationDark.passage_body_font_family': [7, 'a;b', '', null],
  elementCustomizationDark: notObject,
};

const unknownNames = [
  ['app', 'requireIdentifierVerifcation', 'requireIdentifierVerification'],
  ['app', 'publicSignUp', 'publicSignup'],
  ['app', 'authorigin', 'authOrigin'],
  ['app', 'authMethods.opt', 'otp'],
  ['app', 'authMethods.otp.enable', 'enabled'],
  ['app', 'authMethods.magiclink', 'magicLink'],
  ['app', 'layouts.profiles', 'profile'],
  ['app', 'elementCustomization.passage_body_text_colour', 'passage_body_text_color'],
  ['options', 'baseURL', 'baseUrl'],
  ['options', 'secert', 'secret'],
  ['options', 'trustedProxys', undefined],
  ['options', 'rateLimits.messagesPerIP', 'messagesPerIp'],
  ['options', 'rateLimits.messagesPerIp.windows', 'window'],
] as const;

describe('createPassageServer', () => {
  it.each(rows(wrongOptions))('refuses the option %s: %j', async (path, value) => {
    await expect(start(at(path, value))).rejects.toThrow(new RegExp(`^"${path}.*" option must`));
    await expect(start(at(path, value))).rejects.toBeInstanceOf(TypeError);
  });

  it.each([...notWhole, 0])('refuses the window %j of a rate limit', async (window) => {
    await expect(start({ rateLimits: { startsPerIp: { count: 1, window } } })).rejects.toThrow(
      '"rateLimits.startsPerIp.window" option must be a whole number of seconds',
    );
  });

  it.each(rows(wrongSettings))('refuses the app setting %s: %j', async (path, value) => {
    await expect(start({ app: at(path, value) })).rejects.toThrow(new RegExp(`^"${path}.*" setting must`));
  });

  it.each([
    [{ trustedProxies: ['example.com'] }, '"trustedProxies[0]" option must be an IP address or a CIDR range'],
    [{ trustedProxies: ['10.0.0.1', '10.0.0.0/33'] }, '"trustedProxies[1]" option'],
    [{ trustedProxies: ['10.0.0.0/'] }, '"trustedProxies[0]" option'],
    [{ trustedProxies: ['10.0.0.0/8/8'] }, '"trustedProxies[0]" option'],
    [{ app: { additionalAuthOrigins: ['*'] } }, '"additionalAuthOrigins[0]" setting'],
    [{ app: { allowedCallbackUrls: ['/x'] } }, '"allowedCallbackUrls[0]" setting'],
    [
      { app: { userMetadataSchema: [{ fieldName: 'a b', type: 'string' }] } },
      '"userMetadataSchema[0].fieldName" setting',
    ],
    [{ app: { userMetadataSchema: [{ fieldName: 'a' }] } }, '"userMetadataSchema[0].type" setting'],
    [
      { app: { userMetadataSchema: [{ fieldName: 'a', type: 'text' }] } },
      '"userMetadataSchema[0].type" setting',
    ],
    [{ app: { userMetadataSchema: [{ type: 'string' }] } }, '"userMetadataSchema[0].fieldName" setting'],
    [
      { app: { userMetadataSchema: [{ fieldName: 'a', type: 'string', profile: 'false' }] } },
      '"userMetadataSchema[0].profile" setting must be true or false',
    ],
    [
      { app: { userMetadataSchema: [{ fieldName: 'a', type: 'string', registrations: true }] } },
      '"userMetadataSchema[0].registrations" setting is unknown: did you mean "registration"?',
    ],
    [
      {
        app: {
          userMetadataSchema: [
            { fieldName: 'a', type: 'string' },
            { fieldName: 'a', type: 'date' },
          ],
        },
      },
      '"userMetadataSchema" setting must not name a field twice',
    ],
    [
      { app: { layouts: { profile: [{ id: 'a', h: 1, w: '1', x: 0, y: 0 }] } } },
      '"layouts.profile[0].w" setting',
    ],
  ])('refuses the entry of a list: %j', async (options, message) => {
    await expect(start(options)).rejects.toThrow(message);
  });

  it.each(unknownNames)('refuses an unknown name in %s: %s', async (where, path, meant) => {
    const options = where === 'app' ? { app: at(path, true) } : at(path, true);
    const noun = where === 'app' ? 'setting' : 'option';
    const hint = meant ? `did you mean "${meant}"?` : 'it must be one of ';
    await expect(start(options)).rejects.toThrow(`"${path}" ${noun} is unknown: ${hint}`);
  });

  it.each([undefined, null, 'https://example.com', []])('refuses options that are %j', async (options) => {
    await expect(createPassageServer(options as never)).rejects.toThrow('The options must be');
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

  it.each([
    ['http://passage:3000', true],
    ['http://passage.internal', true],
    ['http://passage.default.svc', true],
    ['http://passage.default.svc.cluster.local', true],
    ['http://10.1.2.3', true],
    ['http://172.31.0.1', true],
    ['http://192.168.1.20:3000', true],
    ['http://100.64.0.1', true],
    ['http://[fd00::1]', true],
    ['http://172.32.0.1', false],
    ['http://8.8.8.8', false],
    ['http://[2001:db8::1]', false],
    ['http://example.com', false],
    ['http://internal.example.com', false],
    ['http://notlocal', true],
    ['http://example.notlocal', false],
    ['http://10.0.0.1.example.com', false],
  ])('with allowPrivateHttp, takes http://… only inside private networks: %s %s', async (url, taken) => {
    const opened = start({ baseUrl: url, allowPrivateHttp: true });
    if (!taken) return expect(opened).rejects.toThrow('"baseUrl" option');
    await (await opened).close();
    await expect(start({ baseUrl: url })).rejects.toThrow('"allowPrivateHttp"');
  });
});

const wrongSmtp: Wrong<SmtpOptions> = {
  url: [
    undefined,
    ...notText,
    '',
    'localhost:25',
    'http://localhost',
    'smtp://',
    // Passwords that are not percent-encoded.
    'smtp://ada:50%off@mail.example.com',
    'smtp://ada:s3#cret@mail.example.com',
    'smtp://ada:25#cret@mail.example.com',
    'smtp://ada:s3/cret@mail.example.com',
    'smtp://mail.example.com/inbox',
    'smtp://mail.example.com?pool=true',
    'smtp://mail.example.com?name=',
    'smtp://mail.example.com?name=a&name=b',
    'smtp://mail.example.com?requireTLS=no',
    'smtp://mail.example.com?requireTLS=false',
    'smtp://relay?requireTLS=false',
  ],
  name: [...notText, '', 'mail.example.com\r\nMAIL FROM:<eve@example.com>', 'a b'],
  from: [undefined, ...notText, '', ' ', 'a@example.com\r\nBcc: b@example.com'],
  timeout: [...notWhole, 0],
  allowPrivateHttp: notBoolean,
};
const wrongWebhook: Wrong<WebhookOptions> = {
  url: [undefined, ...notText, '', 'x', 'http://example.com', 'http://hook', 'https://a:b@example.com'],
  secret: [undefined, ...notText, '', 'c2hvcnQ=', 'not base64!'],
  timeout: [...notWhole, 0],
  retries: notWhole,
  allowPrivateHttp: notBoolean,
  fetch: notFunction,
};
const wrongOutbox: Wrong<OutboxOptions> = {
  limit: notWhole,
  print: [...notFunction, true],
  clock: notFunction,
};

const makers = [
  ['smtp', smtp, { url: 'smtp://localhost', from: 'a@example.com' }, wrongSmtp],
  ['webhook', webhook, { url: 'https://example.com', secret }, wrongWebhook],
  ['outbox', outbox, {}, wrongOutbox],
] as const;

describe.each(makers)('%s', (_, maker, right, wrong) => {
  const make = (options: object) => (maker as (options: object) => object)({ ...right, ...options });

  it.each(rows(wrong as never))('refuses the option %s: %j', (name, value) => {
    expect(() => make({ [name]: value })).toThrow(new RegExp(`^"${name}" option must`));
  });

  it('takes right options, and refuses unknown ones', () => {
    expect(make({})).toHaveProperty('send');
    expect(() => make({ retires: 1 })).toThrow('"retires" option is unknown');
  });
});

it('takes a webhook by http inside a private network only when that is allowed', () => {
  expect(() => webhook({ url: 'http://hooks:8080', secret })).toThrow('"allowPrivateHttp"');
  expect(webhook({ url: 'http://hooks:8080', secret, allowPrivateHttp: true })).toHaveProperty('send');
  expect(() => webhook({ url: 'http://example.com', secret, allowPrivateHttp: true })).toThrow('"url"');
});

describe('passage.apps.update', () => {
  it.each(rows(wrongSettings).filter(([name]) => !/^(id|apiKey|signingKey)$/.test(name)))(
    'refuses the setting %s: %j',
    async (path, value) => {
      const server = await shared;
      const [app] = await server.apps.list();
      await expect(server.apps.update(app?.id ?? '', at(path, value))).rejects.toThrow(
        new RegExp(`^"${path}.*" setting must`),
      );
      expect((await server.apps.list())[0]).toEqual(app);
    },
  );

  it.each(unknownNames.filter(([where]) => where === 'app'))(
    'refuses an unknown name: %s %s',
    async (_, path) => {
      const server = await shared;
      const [app] = await server.apps.list();
      await expect(server.apps.update(app?.id ?? '', at(path, true))).rejects.toThrow(
        `"${path}" setting is unknown`,
      );
    },
  );

  it('checks only the settings that are named, and merges those with members', async () => {
    const server = await start({ app: { authMethods: { otp: { ttl: 120 } }, signingKey } });
    const [app] = await server.apps.list();
    const changed = await server.apps.update(app?.id ?? '', {
      name: 'Acme',
      redirectUrl: undefined,
      authMethods: { otp: { enabled: false }, passkeys: undefined },
      elementCustomization: { passage_body_text_color: '#123456' },
    });
    expect(changed).toEqual({
      ...app,
      name: 'Acme',
      authMethods: { ...app?.authMethods, otp: { enabled: false, ttl: 120 } },
      elementCustomization: { ...app?.elementCustomization, passage_body_text_color: '#123456' },
    });
    await expect(server.apps.update(app?.id ?? '', null as never)).rejects.toThrow(
      'The settings must be an object',
    );
    await server.close();
  });
});

describe('settings of an older version', () => {
  it('load, with defaults for what it did not have and without what is gone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'passage-settings-'));
    const database = join(folder, 'passage.db');
    const first = await start({ database, app: { signingKey } });
    const [app] = await first.apps.list();
    await first.close();
    const file = new Database(database);
    const { settings } = file.prepare('select settings from apps').get() as { settings: string };
    const {
      refreshReuseInterval: _,
      layouts: __,
      credentialChangeMaxAge: ___,
      ...old
    } = JSON.parse(settings);
    const open = {
      id: 'a',
      fieldName: 'a',
      friendlyName: 'a',
      type: 'string',
      registration: true,
      profile: true,
    };
    const stored = {
      ...old,
      deviceAddMaxAge: 3_600,
      gone: 1,
      authMethods: { otp: { enabled: false } },
      redirectUrl: 'x',
      userMetadataSchema: [open],
    };
    file.prepare('update apps set settings = ?').run(JSON.stringify(stored));
    file.close();

    const second = await start({ database });
    const [{ id = '' } = {}] = await second.apps.list();
    const expected = {
      ...app,
      credentialChangeMaxAge: 3_600,
      authMethods: { ...app?.authMethods, otp: { enabled: false, ttl: 300 } },
      redirectUrl: 'x',
      userMetadataSchema: [open],
    };
    expect(await second.apps.get(id)).toEqual(expected);
    expect(await second.apps.update(id, { name: 'Acme' })).toEqual({ ...expected, name: 'Acme' });
    await expect(second.apps.update(id, { redirectUrl: 'y' })).rejects.toThrow('"redirectUrl"');
    await second.close();
    rmSync(folder, { recursive: true });
  });
});

const shared = start({ app: { signingKey } });
