import { expect, it } from 'vitest';
import { describeDatabases } from '../test/databases.ts';
import { origin, TestServer } from '../test/server.ts';
import { currentUser, device, publicApp, publicUser } from './http/schemas.ts';
import { managementRoutes } from './management/management.ts';
import { authRoutes } from './router.ts';

const ada = 'ada@example.com';
const memory = async () => ({ location: ':memory:', drop: async () => {} });

describeDatabases('Auth API', (make) => {
  it('answers the app with every field', async () => {
    await using server = await TestServer.start(make);
    const { body } = await server.auth('GET', '');
    expect(publicApp.parse(body.app)).toEqual(body.app);
    expect(body.app).toMatchObject({
      auth_origin: origin,
      auth_methods: { passkeys: {}, otp: { ttl: 300, ttl_display_unit: 's' } },
    });
    expect(Object.keys(body.app.element_customization)).toHaveLength(20);
    expect(Object.keys(body.app.element_customization_dark)).toHaveLength(20);
    expect(Buffer.from(body.app.rsa_public_key, 'base64').toString()).toMatch(/^-----BEGIN PUBLIC KEY-----/);
    const bare = { passkeys: { enabled: false }, otp: { enabled: false }, magicLink: { enabled: false } };
    await server.server.apps.update(server.appId, { authMethods: bare });
    expect((await server.auth('GET', '/')).body.app).toMatchObject({
      auth_methods: {},
      auth_fallback_method: 'none',
    });
  });

  it('says where issuer and keys are', async () => {
    await using server = await TestServer.start(make);
    const { body } = await server.auth('GET', '/.well-known/openid-configuration');
    expect(body.jwks_uri).toBe(`${body.issuer}/.well-known/jwks.json`);
  });

  it('looks users up', async () => {
    await using server = await TestServer.start(make);
    expect(await server.auth('GET', `/users?identifier=${ada}`)).toMatchObject({
      status: 200,
      body: { user: null },
    });
    await server.register(ada);
    const { body } = await server.auth('GET', '/users/?identifier=ADA@example.com');
    expect(publicUser.parse(body.user)).toEqual(body.user);
    expect(body.user).toMatchObject({ status: 'active', webauthn: true, webauthn_types: ['passkey'] });
    expect(await server.auth('GET', '/users')).toMatchObject({
      status: 400,
      body: { error: 'identifier: cannot be blank.' },
    });
  });

  it('makes a pending user, as often as it is asked to', async () => {
    await using server = await TestServer.start(make);
    const [first, second] = [
      await server.auth('POST', '/users', { identifier: ada }),
      await server.auth('POST', '/users', { identifier: ada }),
    ];
    expect(first).toMatchObject({
      status: 201,
      body: { user: { status: 'pending', email: ada, phone: '' } },
    });
    expect(second.body).toEqual(first.body);
    await server.register(ada);
    for (const path of ['/users', '/register/webauthn/start', '/register/otp', '/register/magic-link']) {
      expect(await server.auth('POST', path, { identifier: ada })).toMatchObject({
        status: 400,
        body: { code: 'invalid_request', error: 'user: already exists.' },
      });
    }
  });

  it('keeps strangers out where sign-up is closed', async () => {
    await using server = await TestServer.start(make, { app: { publicSignup: false } });
    for (const path of ['/users', '/register/webauthn/start', '/register/otp', '/register/magic-link']) {
      const answer = await server.auth('POST', path, { identifier: ada });
      expect(answer).toMatchObject({ status: 403, body: { code: 'operation_not_allowed' } });
      expect(answer.body.error).toMatch(/^Public signup/);
    }
    expect((await server.signIn(ada)).token).toBeTruthy();
  });

  it('asks for proof of the address first where it must', async () => {
    await using server = await TestServer.start(make, { app: { requireIdentifierVerification: true } });
    expect(await server.auth('POST', '/register/webauthn/start', { identifier: ada })).toMatchObject({
      status: 403,
      body: { code: 'identifier_not_verified' },
    });
    const { otpId, code } = await server.sendCode(ada, 'register');
    const { body } = await server.auth('POST', '/otp/activate', { otp_id: otpId, otp: code });
    const { auth_token: token } = body.auth_result;
    expect((await server.auth('POST', '/currentuser/devices/start', {}, { token })).status).toBe(200);
  });

  it('takes the identifiers of the app only', async () => {
    await using server = await TestServer.start(make, { app: { allowedIdentifier: 'email' } });
    expect((await server.auth('POST', '/users', { identifier: '+12025550123' })).body.error).toBe(
      'identifier: must be a valid email address.',
    );
    expect((await server.auth('POST', '/users', { identifier: ada })).status).toBe(201);
  });

  it('answers 409 to a login of somebody without passkeys, 404 to one of nobody', async () => {
    await using server = await TestServer.start(make);
    const start = () => server.auth('POST', '/login/webauthn/start', { identifier: ada });
    expect(await start()).toMatchObject({ status: 404, body: { code: 'user_not_found' } });
    await server.signIn(ada);
    expect(await start()).toMatchObject({ status: 409, body: { code: 'user_has_no_passkeys' } });
  });

  it('answers the current user, and lets passkeys be renamed and deleted', async () => {
    await using server = await TestServer.start(make);
    const { token, id } = await server.register(ada);
    const bob = await server.register('bob@example.com');
    const me = await server.auth('GET', '/currentuser', undefined, { token });
    expect(currentUser.parse(me.body.user)).toEqual(me.body.user);
    const { body } = await server.auth('GET', '/currentuser/devices', undefined, { token });
    expect(device.parse(body.devices[0])).toEqual(body.devices[0]);
    const path = `/currentuser/devices/${body.devices[0].id}`;
    const rename = (friendly_name: string, as = token) =>
      server.auth('PATCH', path, { friendly_name }, { token: as });
    expect((await rename('My key')).body.device).toMatchObject({ friendly_name: 'My key', user_id: id });
    expect((await rename('x'.repeat(65))).status).toBe(400);
    expect((await rename(' ')).body.error).toBe('friendly_name: cannot be blank.');
    expect((await rename('Mine now', bob.token)).status).toBe(404);
    expect((await server.auth('DELETE', path, undefined, { token: bob.token })).status).toBe(404);
    expect(await server.auth('DELETE', path, undefined, { token })).toMatchObject({ status: 200, text: '' });
    // With the passkey the session ended that it had opened.
    expect((await server.auth('DELETE', path, undefined, { token })).status).toBe(401);
    const later = await server.signIn(ada);
    expect((await server.auth('DELETE', path, undefined, { token: later.token })).status).toBe(404);
  });

  it('keeps the last passkey of a user whom nothing else could log in', async () => {
    const off = { enabled: false };
    await using server = await TestServer.start(make, {
      app: { authMethods: { otp: off, magicLink: off } },
    });
    const { id, token } = await server.register('ada@example.com');
    const passkeys = async (): Promise<{ id: string }[]> =>
      (await server.auth('GET', '/currentuser/devices', undefined, { token })).body.devices;
    const remove = (passkey: string) =>
      server.auth('DELETE', `/currentuser/devices/${passkey}`, undefined, { token });
    const [first] = await passkeys();
    expect(await remove(first?.id ?? '')).toMatchObject({
      status: 403,
      body: {
        code: 'operation_not_allowed',
        error: 'Add another passkey first: this is the only way to log in',
      },
    });
    expect(await passkeys()).toEqual([first]);
    expect((await remove('unknown')).status).toBe(404);

    const { body } = await server.auth('POST', '/currentuser/devices/start', {}, { token });
    const handshake_response = await server.authenticator().create(body.handshake.challenge.publicKey);
    const answer = { user_id: id, handshake_id: body.handshake.id, handshake_response };
    expect((await server.auth('POST', '/currentuser/devices/finish', answer, { token })).status).toBe(201);
    const answers = await Promise.all((await passkeys()).map((passkey) => remove(passkey.id)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('has no social accounts, and says what it does not offer', async () => {
    await using server = await TestServer.start(make);
    const { token } = await server.signIn(ada);
    const list = await server.auth('GET', '/currentuser/social-connections', undefined, { token });
    expect(list.body).toEqual({ social_connections: {} });
    expect(
      await server.auth('DELETE', '/currentuser/social-connections/google', undefined, { token }),
    ).toMatchObject({
      status: 404,
      body: { code: 'social_connection_not_found' },
    });
    expect(await server.auth('GET', '/social/authorize?connection_type=google')).toMatchObject({
      status: 403,
      body: { code: 'operation_not_allowed', error: 'Social login is not offered by this server' },
    });
  });
});

describeDatabases('Apps', (make) => {
  it('are strictly apart: no credential of one works in another', async () => {
    await using server = await TestServer.start(make);
    const own = await server.register(ada);
    const other = await server.server.apps.create({ authOrigin: origin });
    const { body } = await server.call('POST', `/auth/v1/apps/${other.appId}/users`, { identifier: ada });
    expect(body.user.id).not.toBe(own.id);
    const values = { user_id: own.id, device_id: 'x', type: 'google' } as Record<string, string>;
    for (const [prefix, routes] of [
      ['/auth/v1', authRoutes],
      ['/api/v1', managementRoutes],
    ] as const) {
      for (const { method, path, access } of routes) {
        if (access === 'public') continue;
        const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '');
        const change = method === 'POST' || method === 'PATCH' ? {} : undefined;
        for (const token of [own.token, server.apiKey, own.refreshToken]) {
          const answer = await server.call(method, `${prefix}/apps/${other.appId}${filled}`, change, {
            token,
          });
          expect([`${method} ${prefix}${path}`, answer.status]).toEqual([`${method} ${prefix}${path}`, 401]);
        }
      }
    }
    expect((await server.manage('GET', `/users/${own.id}`)).status).toBe(200);
    const foreign = { token: other.apiKey };
    expect(
      (await server.call('GET', `/api/v1/apps/${other.appId}/users/${own.id}`, undefined, foreign)).status,
    ).toBe(404);
  });

  it('can be made with everything brought along, changed and deleted', async () => {
    await using server = await TestServer.start(make);
    const apiKey = `${'k'.repeat(10)}.${'s'.repeat(64)}`;
    const made = await server.server.apps.create({ id: 'imported-app', apiKey, name: 'Imported' });
    expect(made).toEqual({ appId: 'imported-app', apiKey });
    await expect(server.server.apps.create({ id: 'imported-app' })).rejects.toThrow(
      'Another app has this ID',
    );
    await server.server.apps.update('imported-app', { name: 'Renamed' });
    expect((await server.call('GET', '/auth/v1/apps/imported-app')).body.app.name).toBe('Renamed');
    await expect(server.server.apps.update('imported-app', { sessionTimeoutLength: 1 })).rejects.toThrow(
      '"sessionTimeoutLength"',
    );
    expect(await server.server.apps.list()).toHaveLength(2);
    await server.server.apps.delete('imported-app');
    expect((await server.call('GET', '/auth/v1/apps/imported-app')).status).toBe(404);
  });
});

it.each([
  ['not JSON', '{', {}, 'The request body is not JSON'],
  ['an array', '[]', {}, 'request: must be of type object.'],
  [
    'of another type',
    '{"identifier":"a@example.com"}',
    { 'Content-Type': 'text/plain' },
    'content-type: must be application/json.',
  ],
  ['empty', '', {}, 'identifier: cannot be blank.'],
  ['null', '{"identifier":null}', {}, 'identifier: cannot be blank.'],
])('refuses a body that is %s', async (_, body, headers, error) => {
  await using server = await TestServer.start(memory);
  const options = { headers: headers as Record<string, string> };
  const answer = await server.auth('POST', '/users', body, options);
  expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request', error } });
  expect(answer.headers.get('Content-Type')).toContain('application/json');
});

it('answers 404 outside of its path, and to other methods', async () => {
  await using server = await TestServer.start(memory);
  for (const url of [
    'https://login.example.com/',
    'https://login.example.com/passages/livez',
    'https://login.example.com/livez',
  ]) {
    const response = await server.server.fetch(new Request(url));
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ code: 'not_found', error: 'Not found' });
  }
  expect((await server.call('GET', '/livez')).body).toEqual({ status: 'ok' });
  expect((await server.call('GET', '/readyz')).status).toBe(200);
  expect((await server.auth('PUT', '/users', {})).status).toBe(404);
  expect((await server.auth('OPTIONS', '/users')).status).toBe(404);
  // The prefix of clients of 2021, which is not offered.
  expect((await server.call('GET', `/auth/v1/app/${server.appId}`)).status).toBe(404);
  const headers = { 'Passage-Version': 'passage-node v0.0.0' };
  expect((await server.auth('GET', '/', undefined, { headers })).status).toBe(200);
  expect(await server.auth('HEAD', '/.well-known/jwks.json/')).toMatchObject({ status: 200, text: '' });
});

it('says nothing of what went wrong inside', async () => {
  await using server = await TestServer.start(memory);
  await server.server.close();
  const answer = await server.auth('GET', `/users?identifier=${ada}`);
  expect(answer.status).toBeGreaterThanOrEqual(500);
  expect(answer.text).not.toMatch(/at |sqlite|kysely|select/i);
  expect(server.log.join()).toContain('Request failed');
});

it('sets the headers that keep answers private', async () => {
  await using server = await TestServer.start(memory);
  const { headers } = await server.auth('GET', '');
  expect(Object.fromEntries(headers)).toMatchObject({
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  });
});

it('has its home page at the path of the server, with a query too', async () => {
  await using server = await TestServer.start(memory);
  for (const path of ['', '/', '?app=x', '/?app=x']) {
    expect((await server.call('GET', path)).headers.get('Content-Type')).toBe('text/html; charset=UTF-8');
  }
});

it.each([
  [origin, true],
  ['https://login.example.com', true],
  ['https://second.example.com', true],
  ['null', false],
  ['http://www.example.com', false],
  ['https://www.example.com:444', false],
  ['https://www.example.com.evil.test', false],
  ['https://evil.test', false],
])('CORS: lets %s call: %s', async (from, allowed) => {
  await using server = await TestServer.start(memory, {
    app: { additionalAuthOrigins: ['https://second.example.com'] },
  });
  const headers = { Origin: from };
  const preflight = await server.auth('OPTIONS', '/tokens', undefined, { headers });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get('Access-Control-Allow-Origin')).toBe(allowed ? from : null);
  expect(preflight.headers.get('Access-Control-Allow-Headers') ?? '').toBe(
    allowed ? 'authorization, content-type, passage-version, passage-element-version' : '',
  );
  expect(preflight.headers.get('Access-Control-Allow-Credentials')).toBeNull();
  expect(preflight.headers.get('Vary')).toBe('Origin');
  const change = await server.auth('POST', '/tokens', { refresh_token: 'x' }, { headers });
  expect(change).toMatchObject(
    allowed ? { status: 401 } : { status: 403, body: { code: 'operation_not_allowed' } },
  );
  expect(change.headers.get('Access-Control-Allow-Origin')).toBe(allowed ? from : null);
  const read = await server.auth('GET', '', undefined, { headers });
  expect(read.headers.get('Access-Control-Allow-Origin')).toBe(allowed ? from : null);
  const managed = await server.manage('GET', '/users', undefined, { headers });
  expect(managed.headers.get('Access-Control-Allow-Origin')).toBeNull();
});

it('never writes a secret to the log', async () => {
  await using server = await TestServer.start(memory);
  const { token, refreshToken, authenticator } = await server.register(ada);
  const link = await server.createLink(ada);
  const { otpId, code } = await server.sendCode(ada);
  await server.auth('POST', '/otp/activate', { otp_id: otpId, otp: code === '000000' ? '111111' : '000000' });
  const { body } = await server.auth('POST', '/login/webauthn/start', {});
  const { publicKey } = body.handshake.challenge;
  const handshake_response = await authenticator.get(publicKey, {
    clientData: { origin: 'https://evil.test' },
  });
  await server.auth('POST', '/login/webauthn/finish', {
    handshake_id: body.handshake.id,
    handshake_response,
  });
  const log = server.log.join('\n');
  expect(log).toContain('Passkey ceremony refused');
  for (const secret of [
    token,
    refreshToken,
    link.secret,
    link.id,
    otpId,
    code,
    publicKey.challenge,
    body.handshake.id,
    server.apiKey,
  ]) {
    expect(log).not.toContain(secret);
  }
});

it('counts requests, events and refusals', async () => {
  await using server = await TestServer.start(memory);
  await server.register(ada);
  await server.manage('GET', '/users', undefined, { token: 'wrong' });
  const { text } = await server.call('GET', '/metrics');
  expect(text).toContain('passage_events_total{type="user.registered"} 1');
  expect(text).toContain('passage_refusals_total{code="invalid_access_token"} 1');
  expect(text).toMatch(
    /_count\{method="POST",route="\/auth\/v1\/apps\/\{app_id\}\/register\/webauthn\/finish",status="201"\} 1/,
  );
});
