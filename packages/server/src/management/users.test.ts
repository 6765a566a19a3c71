import { expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';
import { appInfo, listedUser, passageUser } from '../http/schemas.ts';

const ada = 'ada@example.com';
const notFound = { status: 404, body: { code: 'user_not_found', error: 'User not found' } };

describeDatabases('Management API', (make) => {
  it('answers the app, with a key and without', async () => {
    await using server = await TestServer.start(make);
    for (const headers of [{}, { Authorization: `Bearer ${server.apiKey}` }]) {
      const answer = await server.call('GET', `/api/v1/apps/${server.appId}`, undefined, { headers });
      expect(answer.status).toBe(200);
      expect(appInfo.parse(answer.body.app)).toEqual(answer.body.app);
    }
    expect((await server.manage('GET', '', undefined, { token: 'wrong' })).status).toBe(401);
    expect(await server.call('GET', '/api/v1/apps/unknown')).toMatchObject({
      status: 404,
      body: { code: 'app_not_found' },
    });
  });

  it.each([undefined, '', 'x', `${'a'.repeat(10)}.${'b'.repeat(64)}`])('refuses the key %s', async (key) => {
    await using server = await TestServer.start(make);
    const headers = key === undefined ? {} : { Authorization: `Bearer ${key}` };
    const answer = await server.call('GET', `/api/v1/apps/${server.appId}/users`, undefined, { headers });
    expect(answer).toMatchObject({
      status: 401,
      body: { code: 'invalid_access_token', error: 'Invalid access token' },
    });
    expect(answer.headers.get('WWW-Authenticate')).toBe('Bearer');
    expect((await server.manage('GET', '/users')).status).toBe(200);
  });

  it('refuses a key in the address, and one that was revoked', async () => {
    await using server = await TestServer.start(make);
    const path = `/api/v1/apps/${server.appId}/users`;
    expect((await server.call('GET', `${path}?api_key=${server.apiKey}`)).status).toBe(401);
    // Keys, and below events, of the same moment have no order.
    server.advance(1);
    const { id, apiKey } = await server.server.apps.createApiKey(server.appId, 'Second');
    expect((await server.manage('GET', '/users', undefined, { token: apiKey })).status).toBe(200);
    const keys = await server.server.apps.listApiKeys(server.appId);
    expect(keys).toMatchObject([
      { prefix: server.apiKey.slice(0, 10) },
      { name: 'Second', lastUsedAt: new Date(server.now) },
    ]);
    await server.server.apps.revokeApiKey(server.appId, id);
    expect((await server.manage('GET', '/users', undefined, { token: apiKey })).status).toBe(401);
    const written = server.log.filter((line) => line.includes(id));
    expect(written).toEqual([
      expect.stringContaining('"event":"api_key.created"'),
      expect.stringContaining('"event":"api_key.revoked"'),
    ]);
    expect(server.log.join()).not.toContain(apiKey);
  });

  it('creates a user', async () => {
    await using server = await TestServer.start(make);
    const answer = await server.manage('POST', '/users/', {
      email: ' Ada@Example.com ',
      phone: '+12025550123',
      user_metadata: null,
    });
    expect(answer.status).toBe(201);
    expect(passageUser.parse(answer.body.user)).toEqual(answer.body.user);
    expect(answer.body.user).toMatchObject({
      id: expect.stringMatching(/^[A-Za-z0-9]{24}$/),
      email: ada,
      email_verified: false,
      phone: '+12025550123',
      status: 'pending',
      login_count: 0,
      last_login_at: '0001-01-01T00:00:00Z',
      user_metadata: null,
      webauthn: false,
      webauthn_devices: [],
      webauthn_types: [],
      recent_events: [],
      social_connections: {},
      external_id: '',
    });
  });

  it.each([
    [{}, 'email: cannot be blank; phone: cannot be blank.'],
    [{ email: 'ada' }, 'identifier: must be a valid email address.'],
    [{ phone: '12025550123' }, 'identifier: must be a valid E164 number.'],
    [
      { email: 'ada', phone: '1' },
      'identifier: must be a valid E164 number.; identifier: must be a valid email address.',
    ],
    [{ email: ada, user_metadata: { unknown: 1 } }, 'user_metadata: has a field that is not in the schema.'],
    [{ email: 5 }, 'email: must be of type string.'],
  ])('refuses to create %j', async (body, error) => {
    await using server = await TestServer.start(make);
    expect(await server.manage('POST', '/users', body)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', error },
    });
  });

  it('makes one user of 20 that come at once', async () => {
    await using server = await TestServer.start(make);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => server.manage('POST', '/users', { email: ada })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 400)).toHaveLength(19);
  });

  it('changes a user', async () => {
    await using server = await TestServer.start(make);
    const { id } = await server.signIn(ada);
    await server.signIn('bob@example.com');
    const changed = await server.manage('PATCH', `/users/${id}`, {
      email: 'Eve@example.com',
      phone: '+12025550123',
    });
    expect(changed).toMatchObject({
      status: 200,
      body: {
        user: { email: 'eve@example.com', email_verified: false, phone: '+12025550123', login_count: 1 },
      },
    });
    expect((await server.manage('PATCH', `/users/${id}`, { email: 'bob@example.com' })).status).toBe(400);
    expect((await server.manage('PATCH', `/users/${id}`, { email: 'eve@example.com' })).status).toBe(200);
  });

  it('writes down who was deactivated, logged out, activated and deleted', async () => {
    await using server = await TestServer.start(make);
    const { id } = await server.signIn('ada@example.com');
    await server.manage('PATCH', `/users/${id}/deactivate`);
    await server.manage('DELETE', `/users/${id}/tokens`);
    const { body } = await server.manage('PATCH', `/users/${id}/activate`);
    const types = body.user.recent_events.map(({ type }: { type: string }) => type).sort();
    expect(types).toEqual(['magic_link.completed', 'sessions.revoked', 'user.activated', 'user.deactivated']);
    await server.manage('DELETE', `/users/${id}`);
    expect(server.log.at(-1)).toContain('"event":"user.deleted"');
  });

  it('deactivates and activates a user', async () => {
    await using server = await TestServer.start(make);
    const { id, token } = await server.signIn(ada);
    expect((await server.manage('PATCH', `/users/${id}/deactivate`)).body.user.status).toBe('inactive');
    expect(await server.auth('GET', '/currentuser', undefined, { token })).toMatchObject({
      status: 403,
      body: { code: 'user_not_active' },
    });
    expect((await server.auth('POST', '/login/otp', { identifier: ada })).status).toBe(403);
    const link = await server.createLink(ada);
    expect((await server.auth('PATCH', '/magic-link/activate', { magic_link: link.secret })).status).toBe(
      403,
    );
    expect((await server.manage('PATCH', `/users/${id}/activate`)).body.user.status).toBe('active');
    expect((await server.auth('GET', '/currentuser', undefined, { token })).status).toBe(200);
  });

  it('deletes a user with all that is theirs', async () => {
    await using server = await TestServer.start(make);
    const { id, token, authenticator } = await server.register(ada);
    expect(await server.manage('DELETE', `/users/${id}`)).toMatchObject({ status: 200, text: '' });
    expect(await server.manage('GET', `/users/${id}`)).toMatchObject(notFound);
    expect((await server.auth('GET', '/currentuser', undefined, { token })).status).toBe(401);
    const { body } = await server.auth('POST', '/login/webauthn/start', {});
    const handshake_response = await authenticator.get(body.handshake.challenge.publicKey);
    const login = { handshake_id: body.handshake.id, handshake_response };
    expect((await server.auth('POST', '/login/webauthn/finish', login)).status).toBe(401);
    expect((await server.register(ada)).id).not.toBe(id);
  });

  it('lists and revokes passkeys', async () => {
    await using server = await TestServer.start(make);
    const { id, authenticator } = await server.register(ada);
    const bob = await server.register('bob@example.com');
    const { body } = await server.manage('GET', `/users/${id}/devices`);
    expect(body.devices).toMatchObject([
      { cred_id: authenticator.passkeys[0]?.id, type: 'passkey', usage_count: 1 },
    ]);
    const [device] = body.devices;
    expect(await server.manage('DELETE', `/users/${bob.id}/devices/${device.id}`)).toMatchObject({
      status: 404,
      body: { code: 'device_not_found' },
    });
    server.advance(1);
    expect(await server.manage('DELETE', `/users/${id}/devices/${device.id}`)).toMatchObject({
      status: 200,
      text: '',
    });
    expect((await server.manage('GET', `/users/${id}/devices`)).body.devices).toEqual([]);
    expect((await server.manage('GET', `/users/${id}`)).body.user.recent_events).toMatchObject([
      { type: 'webauthn.revoked', action: 'other' },
      {},
      {},
    ]);
  });

  it.each([
    ['GET', ''],
    ['PATCH', ''],
    ['DELETE', ''],
    ['PATCH', '/activate'],
    ['PATCH', '/deactivate'],
    ['GET', '/devices'],
    ['DELETE', '/devices/unknown'],
    ['DELETE', '/tokens'],
  ])('answers 404 to %s of an unknown user%s', async (method, path) => {
    await using server = await TestServer.start(make);
    expect(await server.manage(method, `/users/unknown${path}`)).toMatchObject(notFound);
  });
});

describeDatabases('User metadata', (make) => {
  const app = {
    userMetadataSchema: [
      { fieldName: 'name', type: 'string', registration: true, profile: true },
      { fieldName: 'vip', type: 'boolean' },
      { fieldName: 'age', type: 'integer' },
      { fieldName: 'born', type: 'date' },
      { fieldName: 'mobile', type: 'phone' },
      { fieldName: 'mail', type: 'email' },
    ],
  } as const;

  it.each([
    ['name', 'Ada', 5],
    ['vip', true, 'true'],
    ['age', 36, 3.6],
    ['born', '12/10/1815', '02/30/1815'],
    ['mobile', '+12025550123', '2025550123'],
    ['mail', ada, 'ada'],
  ])('checks %s', async (field, good, bad) => {
    await using server = await TestServer.start(make, { app });
    const { body } = await server.manage('POST', '/users', { email: ada });
    const set = (value: unknown) =>
      server.manage('PATCH', `/users/${body.user.id}`, { user_metadata: { [field]: value } });
    expect((await set(bad)).body.error).toMatch(new RegExp(`^user_metadata\\.${field}: must be a`));
    expect((await set(good)).body.user.user_metadata).toEqual({ [field]: good });
    expect((await set(null)).body.user.user_metadata).toEqual({});
  });

  it('merges, and changes nothing when one field is wrong', async () => {
    await using server = await TestServer.start(make, { app });
    const { token, id } = await server.signIn(ada);
    await server.manage('PATCH', `/users/${id}`, { user_metadata: { vip: true } });
    const set = (user_metadata: object) =>
      server.auth('PATCH', '/currentuser/user-metadata', { user_metadata }, { token });
    expect((await set({ name: 'Ada', age: 'x' })).status).toBe(400);
    expect((await set({ vip: false })).status).toBe(400);
    expect((await set({ unknown: 1 })).status).toBe(400);
    expect((await set({ name: 'Ada' })).body.user.user_metadata).toEqual({ vip: true, name: 'Ada' });
    const { body } = await server.auth('GET', '/currentuser/user-metadata', undefined, { token });
    expect(body).toEqual({ user_metadata: { vip: true, name: 'Ada' } });
  });

  // A field that nothing was said of may hold a role.
  it('keeps fields that were not opened for the back end', async () => {
    const closed = { userMetadataSchema: [{ fieldName: 'role', type: 'string' as const }] };
    await using server = await TestServer.start(make, { app: closed });
    const { token, id } = await server.signIn(ada);
    const user_metadata = { role: 'admin' };
    const patch = await server.auth('PATCH', '/currentuser/user-metadata', { user_metadata }, { token });
    expect(patch.status).toBe(400);
    const signUp = await server.auth('POST', '/users', { identifier: 'eve@example.com', user_metadata });
    expect(signUp.status).toBe(400);
    const managed = await server.manage('PATCH', `/users/${id}`, { user_metadata });
    expect(managed.body.user.user_metadata).toEqual(user_metadata);
  });

  it('lets visitors set the fields of registration only', async () => {
    await using server = await TestServer.start(make, { app });
    const signUp = (user_metadata: object) =>
      server.auth('POST', '/users', { identifier: ada, user_metadata });
    expect((await signUp({ vip: true })).status).toBe(400);
    const made = await signUp({ name: 'Ada' });
    const stored = await server.manage('GET', `/users/${made.body.user.id}`);
    expect(stored.body.user.user_metadata).toEqual({ name: 'Ada' });
  });
});

describeDatabases('Listing users', (make) => {
  async function withUsers(): Promise<TestServer> {
    const server = await TestServer.start(make);
    for (const user of [
      { email: 'ada@example.com' },
      { email: 'bob@example.com', phone: '+12025550123' },
      { email: 'eve_1@other.test' },
    ]) {
      await server.manage('POST', '/users', user);
      server.advance(10);
    }
    await server.signIn('bob@example.com');
    return server;
  }
  const emails = async (server: TestServer, query: string) => {
    const { status, body } = await server.manage('GET', `/users?${query}`);
    return status === 200
      ? body.users.map(({ email }: { email: string }) => email.split('@')[0])
      : body.error;
  };

  it('answers the newest first, whole', async () => {
    await using server = await withUsers();
    const { body } = await server.manage('GET', '/users/');
    expect(body).toMatchObject({
      page: 1,
      limit: 15,
      total_users: 3,
      created_before: Math.floor(server.now / 1000) + 1,
    });
    for (const user of body.users) expect(listedUser.parse(user)).toEqual(user);
    expect(body.users.map(({ email }: { email: string }) => email)).toEqual([
      'eve_1@other.test',
      'bob@example.com',
      'ada@example.com',
    ]);
  });

  it.each([
    ['identifier=ADA@example.com', ['ada']],
    ['identifier=%2B12025550123', ['bob']],
    // The ideographic full stop, as a domain in Chinese may have it.
    ['identifier=ada@example%E3%80%82com', ['ada']],
    ['identifier=ne:ada@example%E3%80%82com', ['eve_1', 'bob']],
    ['identifier=ne:ada@example.com', ['eve_1', 'bob']],
    ['identifier=%3Cne:ada@example.com%3E', ['eve_1', 'bob']],
    ['identifier=like:example.com', ['bob', 'ada']],
    ['identifier=like:EVE_1', ['eve_1']],
    ['identifier=like:b_b', []],
    ['identifier=like:%25@example.com', ['bob', 'ada']],
    ['identifier=not_like:example', ['eve_1']],
    ['identifier=gt:bob@example.com', ['eve_1']],
    ['identifier=lt:ada@example.com', ['bob']],
    ['status=pending', ['eve_1', 'ada']],
    ['status=active', ['bob']],
    ['status=ne:active', ['eve_1', 'ada']],
    ['login_count=gt:0', ['bob']],
    ['login_count=0', ['eve_1', 'ada']],
    ['email_verified=true', ['bob']],
    ['last_login_at=0001-01-01T00:00:00Z', ['eve_1', 'ada']],
    ['status=pending&identifier=like:ada', ['ada']],
    ['order_by=created_at:ASC', ['ada', 'bob', 'eve_1']],
    ['order_by=login_count:DESC,created_at:ASC', ['bob', 'ada', 'eve_1']],
    ['order_by=identifier:ASC', 'order_by: must be a list of field:ASC or field:DESC.'],
    ['order_by=created_at', 'order_by: must be a list of field:ASC or field:DESC.'],
    ['created_at=yesterday', 'created_at: is not valid.'],
    ['login_count=like:1', 'login_count: has an operator that is not known here.'],
    ['limit=501', 'limit: must be no greater than 500.'],
    ['page=0', 'page: must be no less than 1.'],
    ['page=1&page=2', 'page: must be of type number.'],
    ['login_count=gt:-1&login_count=lt:1', ['eve_1', 'ada']],
    ['identifier=like:example.com&identifier=ne:ada@example.com', ['bob']],
  ])('%s', async (query, expected) => {
    await using server = await withUsers();
    expect(await emails(server, query)).toEqual(expected);
  });

  it('compares times to the microsecond', async () => {
    await using server = await withUsers();
    const { body } = await server.manage('GET', '/users?identifier=bob@example.com');
    const exact = body.users[0].created_at.replace('Z', '000Z');
    expect(await emails(server, `created_at=${exact}`)).toEqual(['bob']);
    expect(await emails(server, `created_at=lt:${exact}`)).toEqual(['ada']);
    expect(await emails(server, `created_at=gt:${exact}`)).toEqual(['eve_1']);
    expect(await emails(server, `created_at=gt:${exact.replace('000Z', '001Z')}`)).toEqual(['eve_1']);
    expect(await emails(server, `created_at=${exact.replace('000Z', '001Z')}`)).toEqual([]);
  });

  it('pages, and links the pages', async () => {
    await using server = await withUsers();
    const first = await server.manage('GET', '/users?limit=2&identifier=like:e');
    const { _links: links, created_before } = first.body;
    const href = (page: number) =>
      `login.example.com/passage/api/v1/apps/${server.appId}/users?created_before=${created_before}` +
      `&identifier=like%3Ae&limit=2&order_by=created_at%3ADESC&page=${page}`;
    expect(links).toEqual({
      first: { href: href(1) },
      last: { href: href(2) },
      next: { href: href(2) },
      previous: { href: '' },
      self: { href: href(1) },
    });
    server.advance(60);
    await server.manage('POST', '/users', { email: 'late@example.com' });
    expect(await emails(server, `limit=2&page=2&created_before=${created_before}`)).toEqual(['ada']);
    expect((await server.manage('GET', '/users?page=9')).body).toMatchObject({ users: [], total_users: 4 });
  });

  it('answers an empty list', async () => {
    await using server = await TestServer.start(make);
    expect((await server.manage('GET', '/users?identifier=none@example.com')).body).toMatchObject({
      users: [],
      total_users: 0,
    });
  });
});
