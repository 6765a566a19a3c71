import { expect, it } from 'vitest';
import { TestServer } from '../test/server.ts';
import type { AppSettings } from './index.ts';

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

it('limits the life of access tokens, and gives no refresh token, as the settings say', async () => {
  await using server = await TestServer.start(make, {
    app: { sessionTimeoutLength: 5, refreshEnabled: false },
  });
  const { token, refreshToken } = await server.signIn('ada@example.com');
  const { iat, exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  expect(exp - iat).toBe(300);
  expect(refreshToken).toBe('');
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
