import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import Database from 'libsql';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { baseUrl, secret, TestServer } from '../test/server.ts';
import { type AppSettings, createPassageServer } from './index.ts';
import { settings as settingsSchema } from './settings.ts';

const item = { id: 'town', h: 1, w: 2, x: 3, y: 4 };
const town = { id: 'town', fieldName: 'town', friendlyName: 'Town', type: 'string' } as const;
const off = { enabled: false };

/** What the Management API answers once a setting is set, and what it does not before. */
const effects: readonly (readonly [AppSettings, Record<string, unknown>])[] = [
  [{ name: 'Acme' }, { name: 'Acme' }],
  [{ authOrigin: 'https://acme.example/' }, { auth_origin: 'https://acme.example' }],
  [
    { additionalAuthOrigins: ['https://shop.acme.example'] },
    { additional_auth_origins: ['https://shop.acme.example'] },
  ],
  [
    { allowedCallbackUrls: ['https://acme.example/in'] },
    { allowed_callback_urls: ['https://acme.example/in'] },
  ],
  [{ redirectUrl: '/home' }, { redirect_url: '/home' }],
  [{ loginUrl: '/enter' }, { login_url: '/enter' }],
  [{ allowedIdentifier: 'email' }, { allowed_identifier: 'email' }],
  [{ requiredIdentifier: 'phone' }, { required_identifier: 'phone' }],
  [{ requireIdentifierVerification: true }, { require_identifier_verification: true }],
  [{ publicSignup: false }, { public_signup: false }],
  [{ profileManagement: false }, { profile_management: false }],
  [{ authMethods: { passkeys: off } }, { auth_methods: expect.objectContaining({ passkeys: off }) }],
  [{ authMethods: { otp: { ttl: 60 } } }, { auth_fallback_method_ttl: 60 }],
  [{ authMethods: { otp: off } }, { auth_fallback_method: 'magic_link' }],
  [{ authMethods: { otp: off, magicLink: off } }, { auth_fallback_method: 'none' }],
  [{ sessionTimeoutLength: 5 }, { session_timeout_length: 5 }],
  [{ refreshEnabled: false }, { refresh_enabled: false }],
  [{ refreshAbsoluteLifetime: 60 }, { refresh_absolute_lifetime: 60 }],
  [{ refreshInactivityLifetime: 60 }, { refresh_inactivity_lifetime: 60 }],
  [{ defaultLanguage: 'de' }, { default_language: 'de' }],
  [
    { userMetadataSchema: [town] },
    {
      user_metadata_schema: [
        {
          id: 'town',
          field_name: 'town',
          friendly_name: 'Town',
          type: 'string',
          registration: false,
          profile: false,
        },
      ],
    },
  ],
  [{ layouts: { profile: [item] } }, { layouts: { profile: [item], registration: [] } }],
  [{ passageBranding: true }, { passage_branding: true }],
  [
    { elementCustomization: { passage_body_text_color: '#abc' } },
    { element_customization: expect.objectContaining({ passage_body_text_color: '#abc' }) },
  ],
  [
    { elementCustomizationDark: { passage_container_max_width: 400 } },
    { element_customization_dark: expect.objectContaining({ passage_container_max_width: 400 }) },
  ],
];

const make = async () => ({ location: ':memory:', drop: async () => {} });

it.each(effects)('%j is told to front ends and back ends', async (settings, told) => {
  await using server = await TestServer.start(make);
  const read = async () => (await server.manage('GET', '')).body.app;
  expect(await read()).not.toMatchObject(told);
  await server.server.apps.update(server.appId, settings);
  expect(await read()).toMatchObject(told);
  await using other = await TestServer.start(make, { app: settings });
  expect((await other.manage('GET', '')).body.app).toMatchObject(told);
});

type Look = (server: TestServer) => Promise<unknown>;

const status =
  (path: string, body: object): Look =>
  async (server) =>
    (await server.auth('POST', path, body)).status;

const told =
  (
    read: (message: TestServer['messages'][number], server: TestServer) => unknown,
    path = '/register/otp',
  ): Look =>
  async (server) => {
    await server.auth('POST', path, { identifier: 'eve@example.com' });
    const message = server.messages.at(-1);
    return message && read(message, server);
  };

const begun =
  (read: (publicKey: { rp: { id: string }; authenticatorSelection: object }) => unknown): Look =>
  async (server) => {
    const { body } = await server.auth('POST', '/register/webauthn/start', { identifier: 'eve@example.com' });
    return read(body.handshake.challenge.publicKey);
  };

const seconds = (message: { expiresAt?: Date | undefined }, { now }: TestServer) =>
  ((message.expiresAt?.getTime() ?? 0) - now) / 1000;

const timeLeft: Look = async (server) => {
  const { secret } = await server.createLink('ada@example.com');
  const { body } = await server.auth('PATCH', '/magic-link/activate', { magic_link: secret });
  return body.auth_result.refresh_token_expiration - Math.floor(server.now / 1000);
};

const color = { fieldName: 'color', type: 'string', registration: true } as const;

/** What visitors, users and back ends see of each setting over HTTP, before it is set and after. */
const behavior: readonly (readonly [AppSettings, Look, before: unknown, after: unknown])[] = [
  [{ name: 'Acme' }, told(({ subject }) => subject?.includes('Acme')), false, true],
  [{ authOrigin: 'https://acme.example' }, begun(({ rp }) => rp.id), 'www.example.com', 'acme.example'],
  [
    { additionalAuthOrigins: ['https://shop.acme.example'] },
    async (server) => {
      const headers = { Origin: 'https://shop.acme.example' };
      const answer = await server.auth('POST', '/login/webauthn/start', {}, { headers });
      return [answer.status, answer.headers.get('Access-Control-Allow-Origin')];
    },
    [403, null],
    [200, 'https://shop.acme.example'],
  ],
  [
    { allowedCallbackUrls: ['https://else.example/in'] },
    async (server) => {
      const body = { email: 'ada@example.com', send: false, redirect_url: 'https://else.example/in' };
      return (await server.manage('POST', '/magic-links', body)).status;
    },
    400,
    201,
  ],
  [{ redirectUrl: '/home' }, redirectOf, '/', '/home'],
  [
    { loginUrl: '/enter' },
    told(({ url }) => new URL(url ?? '').pathname, '/register/magic-link'),
    '/login',
    '/enter',
  ],
  [
    { allowedLinkPaths: ['/in'] },
    status('/register/magic-link', { identifier: 'eve@example.com', magic_link_path: '/in' }),
    400,
    201,
  ],
  [{ allowedIdentifier: 'email' }, status('/register/otp', { identifier: '+12025550123' }), 201, 400],
  [
    { requireIdentifierVerification: true },
    status('/register/webauthn/start', { identifier: 'eve@example.com' }),
    200,
    403,
  ],
  [
    { unprovenPasskeys: 'keep' },
    async (server) => {
      await server.register('eve@example.com');
      const { token } = await server.signIn('eve@example.com');
      return (await server.auth('GET', '/currentuser/devices', undefined, { token })).body.devices.length;
    },
    0,
    1,
  ],
  [{ publicSignup: false }, status('/register/otp', { identifier: 'eve@example.com' }), 201, 403],
  [{ authMethods: { passkeys: off } }, status('/login/webauthn/start', {}), 200, 403],
  [{ authMethods: { otp: off } }, status('/register/otp', { identifier: 'eve@example.com' }), 201, 403],
  [{ authMethods: { otp: { ttl: 60 } } }, told(seconds), 300, 60],
  [
    { authMethods: { magicLink: off } },
    status('/register/magic-link', { identifier: 'eve@example.com' }),
    201,
    403,
  ],
  [{ authMethods: { magicLink: { ttl: 60 } } }, told(seconds, '/register/magic-link'), 600, 60],
  [
    { sessionTimeoutLength: 5 },
    async (server) => {
      const { iat, exp } = decodeJwt((await server.signIn('ada@example.com')).token);
      return (exp ?? 0) - (iat ?? 0);
    },
    900,
    300,
  ],
  [
    { refreshEnabled: false },
    async (server) => (await server.signIn('ada@example.com')).refreshToken !== '',
    true,
    false,
  ],
  [{ refreshAbsoluteLifetime: 60 }, timeLeft, 432_000, 60],
  [{ refreshInactivityLifetime: 60 }, timeLeft, 432_000, 60],
  [
    { refreshReuseInterval: 0 },
    async (server) => {
      const { refreshToken } = await server.signIn('ada@example.com');
      await server.auth('POST', '/tokens', { refresh_token: refreshToken });
      return (await server.auth('POST', '/tokens', { refresh_token: refreshToken })).status;
    },
    201,
    401,
  ],
  [
    { credentialChangeMaxAge: 60 },
    async (server) => {
      const { token } = await server.signIn('ada@example.com');
      server.advance(61);
      return (await server.auth('POST', '/currentuser/devices/start', {}, { token })).status;
    },
    200,
    403,
  ],
  [
    { userVerification: 'required' },
    async (server) => {
      const authenticator = server.authenticator({ userVerification: false });
      return authenticator.register('eve@example.com').then(
        () => 'registered',
        () => 'refused',
      );
    },
    'registered',
    'refused',
  ],
  [{ defaultLanguage: 'de' }, told(({ language }) => language), 'en', 'de'],
  [
    { userMetadataSchema: [color] },
    status('/users', { identifier: 'eve@example.com', user_metadata: { color: 'red' } }),
    400,
    201,
  ],
];

async function redirectOf(server: TestServer): Promise<string> {
  const { secret } = await server.createLink('ada@example.com');
  const { body } = await server.auth('PATCH', '/magic-link/activate', { magic_link: secret });
  return body.auth_result.redirect_url;
}

it.each(behavior)('%j does what it says', async (settings, look, before, after) => {
  await using server = await TestServer.start(make);
  expect(await look(server)).toEqual(before);
  await using other = await TestServer.start(make);
  await other.server.apps.update(other.appId, settings);
  expect(await look(other)).toEqual(after);
});

it('names the settings that nothing but front ends follow', () => {
  const page = readFileSync(new URL('../../../docs/server.md', import.meta.url), 'utf8');
  const leaves = (schema: unknown, name: string): string[] => {
    const inner = schema instanceof z.ZodPrefault ? schema.unwrap() : schema;
    const open = name === '' || name.startsWith('authMethods');
    if (!open || !(inner instanceof z.ZodObject)) return [name];
    return Object.entries(inner.shape).flatMap(([key, one]) => leaves(one, name ? `${name}.${key}` : key));
  };
  const shown = behavior.flatMap(([given]) => pathsOf(given));
  const rest = leaves(settingsSchema, '').filter((name) => !shown.includes(name));
  for (const name of rest)
    expect(
      page.split('\n').find((row) => row.startsWith(`| \`${name}\``)),
      name,
    ).toMatch(/official front end/);
  expect(rest.sort()).toEqual([
    'elementCustomization',
    'elementCustomizationDark',
    'layouts',
    'passageBranding',
    'profileManagement',
    'requiredIdentifier',
  ]);
});

/** Names of the settings that are given, down to those of `authMethods`. */
function pathsOf(given: AppSettings): string[] {
  const { authMethods = {}, ...rest } = given;
  const methods = Object.entries(authMethods).flatMap(([method, members]) =>
    Object.keys(members ?? {}).map((name) => `authMethods.${method}.${name}`),
  );
  return [...Object.keys(rest), ...methods];
}

it.each([
  [{ registration: true }, 201, 400],
  [{ profile: true }, 400, 200],
  [{}, 400, 400],
])('a metadata field with %j is open to those whom it names', async (open, registered, changed) => {
  const field = { fieldName: 'color', type: 'string', ...open } as const;
  await using server = await TestServer.start(make, { app: { userMetadataSchema: [field] } });
  const user_metadata = { color: 'red' };
  const identifier = 'eve@example.com';
  expect((await server.auth('POST', '/users', { identifier, user_metadata })).status).toBe(registered);
  const { token, id } = await server.signIn('ada@example.com');
  const change = await server.auth('PATCH', '/currentuser/user-metadata', { user_metadata }, { token });
  expect(change.status).toBe(changed);
  // The back end may always.
  expect((await server.manage('PATCH', `/users/${id}`, { user_metadata })).status).toBe(200);
});

it('are looked at when the server starts: those that are not valid any more are named, with their app', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'passage-'));
  const location = join(folder, 'passage.db');
  const keep = async () => ({ location, drop: async () => {} });
  const first = await TestServer.start(keep, { app: { id: 'old' } });
  await first[Symbol.asyncDispose]();
  const start = async () => {
    const log: object[] = [];
    const note = (fields: object, text: string) => void log.push({ ...fields, text });
    const server = await createPassageServer({
      baseUrl,
      secret,
      database: location,
      logger: { info: note, warn: note, error: note },
    });
    await server.close();
    return log;
  };
  expect(await start()).toEqual([]);
  const database = new Database(location);
  database.exec(
    `update apps set settings = json_set(settings, '$.sessionTimeoutLength', 2, '$.authMethods.otp.ttl', 'long')`,
  );
  database.close();
  const problem = { app: 'old', event: 'setting.not_valid' };
  expect(await start()).toEqual([
    { ...problem, setting: 'authMethods.otp.ttl', text: expect.stringContaining('60 to 900') },
    { ...problem, setting: 'sessionTimeoutLength', text: expect.stringContaining('5 to 1440') },
  ]);
  await rm(folder, { recursive: true });
});

it('ends sessions by their age and by their time without use, as the settings say', async () => {
  const app = { refreshAbsoluteLifetime: 1_000, refreshInactivityLifetime: 300 };
  await using server = await TestServer.start(make, { app });
  const refresh = async (refresh_token: string) => server.auth('POST', '/tokens', { refresh_token });
  let { refreshToken } = await server.signIn('ada@example.com');
  for (let step = 0; step < 4; step++) {
    server.advance(240);
    const answer = await refresh(refreshToken);
    expect(answer.status).toBe(201);
    refreshToken = answer.body.auth_result.refresh_token;
  }
  server.advance(60);
  expect((await refresh(refreshToken)).status).toBe(401);
  const idle = await server.signIn('ada@example.com');
  server.advance(301);
  expect((await refresh(idle.refreshToken)).status).toBe(401);
});
