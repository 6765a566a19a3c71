import { startPassage, type TestPassage } from '@passage-auth/testing';
import { describe, expect, it } from 'vitest';
import {
  type CreateMagicLinkArgs,
  type ListUsersQuery,
  type MagicLinkOptions,
  Passage,
  type PassageUserSummary,
} from './index.ts';
import { Issuer, json } from './issuer.fixture.ts';

// The management client against the real server; what a healthy server never answers comes from the other one.

function refusal(apiStatus: number, apiCode: string): object {
  return { code: 'ERR_PASSAGE_API', status: 502, apiStatus, apiCode };
}

async function emailsOf(users: AsyncIterable<PassageUserSummary>): Promise<string[]> {
  const emails: string[] = [];
  for await (const { email } of users) emails.push(email);
  return emails;
}

describe('passage.user', () => {
  it('creates, reads, changes and deletes a user', async () => {
    await using server = await startPassage();
    const passage = new Passage(server.options);
    const created = await passage.user.create({ email: 'Ada@Example.com', phone: '+12025550123' });
    expect(created).toMatchObject({
      email: 'ada@example.com',
      emailVerified: false,
      phone: '+12025550123',
      phoneVerified: false,
      externalId: '',
      status: 'pending',
      loginCount: 0,
      lastLoginAt: null,
      webauthn: false,
      webauthnDevices: [],
      webauthnTypes: [],
      recentEvents: [],
      socialConnections: {},
    });
    expect(created.createdAt).toBeInstanceOf(Date);
    expect(await passage.user.get(created.id)).toEqual(created);

    const updated = await passage.user.update(created.id, { email: 'grace@example.com' });
    expect(updated).toMatchObject({ id: created.id, email: 'grace@example.com', phone: '+12025550123' });
    expect(await passage.user.get(created.id)).toMatchObject({ email: 'grace@example.com' });

    await expect(passage.user.delete(created.id)).resolves.toBeUndefined();
    await expect(passage.user.get(created.id)).rejects.toMatchObject(refusal(404, 'user_not_found'));
    await expect(passage.user.delete(created.id)).rejects.toMatchObject(refusal(404, 'user_not_found'));
  });

  it('leaves the keys of metadata as the app has named them', async () => {
    const field = { fieldName: 'favorite_color', friendlyName: 'Color', type: 'string' } as const;
    await using server = await startPassage({ app: { userMetadataSchema: [field] } });
    const { user } = new Passage(server.options);
    const { id, userMetadata } = await user.create({
      email: 'ada@example.com',
      userMetadata: { favorite_color: 'green' },
    });
    expect(userMetadata).toEqual({ favorite_color: 'green' });
    const updated = await user.update(id, { userMetadata: { favorite_color: 'red' } });
    expect(updated.userMetadata).toEqual({ favorite_color: 'red' });
    const { users } = await user.listPage();
    expect(users).toMatchObject([{ userMetadata: { favorite_color: 'red' } }]);
    await expect(user.create({ email: 'b@example.com', userMetadata: { unknown: 1 } })).rejects.toMatchObject(
      refusal(400, 'invalid_request'),
    );
  });

  it.each(['ada@example.com', ' ADA@Example.com ', '+12025550123'])(
    'finds a user by identifier "%s"',
    async (identifier) => {
      await using server = await startPassage();
      const { user } = new Passage(server.options);
      const { id } = await user.create({ email: 'ada@example.com', phone: '+12025550123' });
      await user.create({ email: 'other@example.com' });
      expect(await user.getByIdentifier(identifier)).toMatchObject({ id, webauthnDevices: [] });
      await expect(user.getByIdentifier('nobody@example.com')).rejects.toMatchObject(
        refusal(404, 'user_not_found'),
      );
    },
  );

  it.each(['ada@münchen.example', 'Ada@MÜNCHEN.example', 'ada@xn--mnchen-3ya.example'])(
    'finds a user by "%s", whose domain is not ASCII',
    async (identifier) => {
      await using server = await startPassage();
      const { user } = new Passage(server.options);
      const { id, email } = await user.create({ email: 'ada@münchen.example' });
      expect(email).toBe('ada@xn--mnchen-3ya.example');
      expect(await user.getByIdentifier(identifier)).toMatchObject({ id });
    },
  );

  it.each(['#', '/', '?', ':', '%23', '\\'])(
    'finds nobody by an address with "%s" in its domain',
    async (sign) => {
      await using server = await startPassage();
      const { user } = new Passage(server.options);
      await user.create({ email: 'ada@example.com' });
      await expect(user.getByIdentifier(`ada@example.com${sign}corp.example`)).rejects.toMatchObject(
        refusal(404, 'user_not_found'),
      );
    },
  );

  it('deactivates and activates a user, and notices at once', async () => {
    await using server = await startPassage();
    const passage = new Passage(server.options);
    const { userId, headers } = await server.signIn('ada@example.com');
    expect((await passage.auth.authenticate(headers)).user.status).toBe('active');
    expect(await passage.user.deactivate(userId)).toMatchObject({ id: userId, status: 'inactive' });
    await expect(passage.auth.authenticate(headers)).rejects.toMatchObject({ status: 403 });
    expect(await passage.user.activate(userId)).toMatchObject({ id: userId, status: 'active' });
    expect((await passage.auth.authenticate(headers)).user.status).toBe('active');
    await passage.user.delete(userId);
    await expect(passage.auth.authenticate(headers)).rejects.toMatchObject({ status: 401, reason: 'user' });
  });

  it('lists and revokes passkeys', async () => {
    await using server = await startPassage();
    const { user } = new Passage(server.options);
    const phone = server.authenticator();
    const { userId } = await phone.register('ada@example.com');
    const [device, ...others] = await user.listDevices(userId);
    expect(others).toEqual([]);
    expect(device).toMatchObject({ credId: phone.passkeys[0]?.id, type: 'passkey' });
    expect(device?.createdAt).toBeInstanceOf(Date);
    expect(device?.icons).toHaveProperty('light');
    expect(await user.get(userId)).toMatchObject({
      webauthn: true,
      webauthnDevices: [{ id: device?.id }],
      recentEvents: [{ action: 'register', status: 'complete', createdAt: expect.any(Date) }, {}],
    });
    await user.revokeDevice(userId, device?.id ?? '');
    expect(await user.listDevices(userId)).toEqual([]);
    await expect(user.revokeDevice(userId, device?.id ?? '')).rejects.toMatchObject({ apiStatus: 404 });
  });

  it('passes on what it cannot explain instead of calling it an outage', async () => {
    await using server = await startPassage();
    const { user } = new Passage(server.options);
    const userMetadata = { size: 1n };
    await expect(user.create({ email: 'ada@example.com', userMetadata })).rejects.toThrow(/BigInt/);
    expect(server.requests.api).toBe(0);
  });

  it('ends the sessions of a user', async () => {
    await using server = await startPassage();
    const { user } = new Passage(server.options);
    const { userId, refreshToken } = await server.signIn('ada@example.com');
    await user.revokeRefreshTokens(userId);
    const answer = await server.options.fetch(
      `${server.options.baseUrl}/auth/v1/apps/${server.options.appId}/tokens`,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ refresh_token: refreshToken }),
      },
    );
    expect(answer.status).toBe(401);
  });

  it('says why the API refuses', async () => {
    await using server = await startPassage();
    const { user } = new Passage(server.options);
    await user.create({ email: 'ada@example.com' });
    await expect(user.create({ email: 'ada@example.com' })).rejects.toMatchObject({ apiStatus: 400 });
    await expect(user.create({ email: 'nobody' })).rejects.toMatchObject({
      ...refusal(400, 'invalid_request'),
      apiMessage: 'identifier: must be a valid email address.',
    });
    for (const call of [
      user.get('unknown'),
      user.update('unknown', {}),
      user.activate('unknown'),
      user.deactivate('unknown'),
      user.listDevices('unknown'),
      user.revokeDevice('unknown', 'unknown'),
      user.revokeRefreshTokens('unknown'),
    ]) {
      await expect(call).rejects.toMatchObject(refusal(404, 'user_not_found'));
    }
    const stranger = new Passage({ ...server.options, apiKey: 'wrong.key' });
    await expect(stranger.user.listPage()).rejects.toMatchObject(refusal(401, 'invalid_access_token'));
  });

  it.each([[{}], [{ email: '' }], [{ userMetadata: {} }]])('does not create a user from %j', async (args) => {
    await using server = await startPassage();
    await expect(new Passage(server.options).user.create(args)).rejects.toThrow(
      /args\.email or args\.phone is required/,
    );
    expect(server.requests.api).toBe(0);
  });

  it.each([undefined, '', ' ', 1])('does not look for the identifier %j', async (identifier) => {
    await using server = await startPassage();
    const { user } = new Passage(server.options);
    await expect(user.getByIdentifier(identifier as never)).rejects.toThrow(/"identifier"/);
    expect(server.requests.api).toBe(0);
  });

  it('takes nobody who merely resembles the identifier', async () => {
    await using issuer = await Issuer.start();
    const resembling = { id: 'user1', email: 'ada@example.com.evil', phone: null };
    const page = { total_users: 1, page: 1, limit: 1, created_before: 1 };
    issuer.answer = json({ users: [resembling, { id: 'user2' }], ...page });
    await expect(issuer.passage().user.getByIdentifier('ada@example.com')).rejects.toMatchObject(
      refusal(404, 'user_not_found'),
    );
    expect(issuer.requests).toHaveLength(1);
  });
});

describe('passage.user.list', () => {
  /** Five users, a day apart: ada and bob have logged in, bob has a passkey, carol is deactivated. */
  async function population(): Promise<TestPassage & { dates: Date[] }> {
    const server = await startPassage();
    const dates: Date[] = [];
    for (const name of ['ada', 'bob', 'carol', 'dave']) {
      dates.push((await server.createUser({ email: `${name}@example.com` })).createdAt);
      server.advance('1d');
    }
    dates.push((await server.createUser({ phone: '+12025550123' })).createdAt);
    await server.signIn('ada@example.com');
    await server.signIn('ada@example.com');
    await server.signIn('bob@example.com');
    await server.admin.user.deactivate((await server.admin.user.getByIdentifier('carol@example.com')).id);
    server.advance('1d');
    return Object.assign(server, { dates });
  }

  const all = ['ada', 'bob', 'carol', 'dave', ''];
  const cases: [string, (dates: Date[]) => ListUsersQuery, string[]][] = [
    ['nothing', () => ({}), all],
    ['an identifier', () => ({ identifier: 'bob@example.com' }), ['bob']],
    ['a phone number', () => ({ identifier: '+12025550123' }), ['']],
    ['a part of an identifier', () => ({ identifier: { like: 'a%@example.com' } }), ['ada']],
    ['no part of an identifier', () => ({ identifier: { notLike: '%a%' } }), ['']],
    ['another identifier', () => ({ identifier: { ne: 'ada@example.com' } }), all.slice(1)],
    ['a range', () => ({ identifier: { gt: 'b', lt: 'd' } }), ['bob', 'carol']],
    ['no id', () => ({ id: 'unknown' }), []],
    ['another id', () => ({ id: { ne: 'unknown' } }), all],
    ['a status', () => ({ status: 'active' }), ['ada', 'bob']],
    ['a status by operator', () => ({ status: { eq: 'inactive' } }), ['carol']],
    ['another status', () => ({ status: { ne: 'pending' } }), ['ada', 'bob', 'carol']],
    ['a number', () => ({ loginCount: 2 }), ['ada']],
    ['a range of numbers', () => ({ loginCount: { gt: 0, lt: 2 } }), ['bob']],
    ['a boolean', () => ({ emailVerified: true }), ['ada', 'bob']],
    ['the other boolean', () => ({ emailVerified: false }), ['carol', 'dave', '']],
    ['a date', (dates) => ({ createdAt: { gt: dates[2] } }), ['dave', '']],
    ['a range of dates', (dates) => ({ createdAt: { gt: dates[1], lt: dates[3] } }), ['carol']],
    ['updates', (dates) => ({ updatedAt: { lt: dates[4] } }), ['dave']],
    ['logins', (dates) => ({ lastLoginAt: { gt: dates[3] } }), ['ada', 'bob']],
    ['several things', () => ({ status: 'active', identifier: { like: 'b' } }), ['bob']],
    ['what is undefined', () => ({ status: undefined, id: { ne: undefined } }), all],
    ['an earlier time', (dates) => ({ createdBefore: dates[2] }), ['ada', 'bob']],
  ];

  it('gives the users that match', async () => {
    await using server = await population();
    const { user } = new Passage(server.options);
    for (const [name, query, expected] of cases) {
      const emails = await emailsOf(user.list({ orderBy: { createdAt: 'asc' }, ...query(server.dates) }));
      const names = emails.map((email) => email.split('@')[0]);
      expect(names.filter(Boolean), name).toEqual(expected.filter(Boolean));
      expect(names.length, name).toBe(expected.length);
    }
  });

  it('matches a date to the millisecond', async () => {
    await using server = await startPassage();
    const { user } = new Passage(server.options);
    const { id, createdAt } = await user.create({ email: 'ada@example.com' });
    const { users } = await user.listPage({ createdAt });
    expect(users).toMatchObject([{ id, createdAt }]);
    const before = await user.listPage({ createdAt: new Date(createdAt.getTime() - 1) });
    expect(before.users).toEqual([]);
  });

  it('orders by one key and by several', async () => {
    await using server = await population();
    const { user } = new Passage(server.options);
    const by = async (orderBy: ListUsersQuery['orderBy']) => emailsOf(user.list({ orderBy, limit: 2 }));
    const oldest = await by({ createdAt: 'asc' });
    expect(await by({ createdAt: 'desc' })).toEqual(oldest.toReversed());
    expect((await by({ loginCount: 'desc', createdAt: 'asc' })).slice(0, 3)).toEqual(oldest.slice(0, 3));
    expect((await by({ status: 'asc', loginCount: 'asc' })).slice(0, 2)).toEqual([
      'bob@example.com',
      'ada@example.com',
    ]);
    const ids = [];
    for await (const { id } of user.list({ orderBy: { id: 'asc' }, limit: 2 })) ids.push(id);
    expect(ids).toEqual(ids.toSorted());
    for (const field of ['updatedAt', 'lastLoginAt'] as const) {
      const users = (await user.listPage({ orderBy: { [field]: 'asc' } })).users;
      const times = users.map((one) => one[field]?.getTime() ?? 0);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
    }
  });

  it('gives one page with the total and the query of the next', async () => {
    await using server = await population();
    const { user } = new Passage(server.options);
    const query: ListUsersQuery = { orderBy: { createdAt: 'asc' }, limit: 2 };
    const first = await user.listPage(query);
    expect(first).toMatchObject({
      total: 5,
      page: 1,
      limit: 2,
      users: [{}, {}],
      next: { page: 2, limit: 2 },
    });
    const second = await user.listPage(first.next);
    const third = await user.listPage(second.next);
    expect(third).toMatchObject({ page: 3, users: [{}], next: undefined });
    expect(third.createdBefore).toEqual(first.createdBefore);
    expect(await user.listPage({ ...query, page: 3 })).toMatchObject({ users: third.users });
    expect((await user.listPage({ ...query, page: 9 })).next).toBeUndefined();
  });

  it('does not let users created meanwhile shift the pages', async () => {
    await using server = await population();
    const { user } = new Passage(server.options);
    const seen: string[] = [];
    for await (const { id } of user.list({ limit: 2 })) {
      seen.push(id);
      server.advance('2s');
      await server.createUser();
    }
    expect(seen).toHaveLength(5);
    expect(new Set(seen).size).toBe(5);
  });

  it('goes on after a failure with the page that failed', async () => {
    await using server = await population();
    const users = new Passage(server.options).user.list({ orderBy: { createdAt: 'asc' }, limit: 2 });
    const seen: string[] = [];
    const readOn = async () => {
      for await (const { id } of users) {
        seen.push(id);
        if (seen.length === 2) server.fault('api', { status: 429, retryAfter: 60 });
      }
    };
    await expect(readOn()).rejects.toMatchObject({ status: 503, retryAfter: 60 });
    expect(seen).toHaveLength(2);
    server.fault('api', 'slow').end();
    await readOn();
    expect(new Set(seen).size).toBe(5);
    expect(await users.next()).toEqual({ done: true, value: undefined });
  });

  it('ends when its signal says so', async () => {
    await using server = await population();
    const aborter = new AbortController();
    const users = new Passage(server.options).user.list({ limit: 2 }, { signal: aborter.signal });
    await users.next();
    await users.next();
    aborter.abort(new Error('enough'));
    await expect(users.next()).rejects.toThrow('enough');
  });

  it.each<[string, unknown, RegExp]>([
    ['an unknown operator', { status: { is: 'active' } }, /"status" has an unknown operator/],
    ['an inherited operator', { status: { toString: 'x' } }, /"status" has an unknown operator/],
    ['an operator in a value', { identifier: 'ne:ada@example.com' }, /"identifier" must not begin/],
    ['an operator in brackets', { identifier: '<like:%>' }, /"identifier" must not begin/],
    ['a date that is none', { createdAt: new Date('never') }, /"createdAt" must be/],
    ['a condition that is an object', { loginCount: { gt: {} } }, /"loginCount" must be/],
    ['an unknown order', { orderBy: { createdAt: 'up' } }, /"orderBy" must name/],
    ['an unknown field to order by', { orderBy: { name: 'asc' } }, /"orderBy" must name/],
    ['an inherited field to order by', { orderBy: { constructor: 'asc' } }, /"orderBy" must name/],
    ['no users on a page', { limit: 0 }, /"limit" must be a whole number from 1 to 500/],
    ['too many users on a page', { limit: 501 }, /"limit"/],
    ['half a page', { page: 1.5 }, /"page"/],
  ])('refuses %s before it asks anybody', async (_name, query, message) => {
    await using server = await startPassage();
    const { user } = new Passage(server.options);
    expect(() => user.list(query as ListUsersQuery)).toThrow(message);
    await expect(user.listPage(query as ListUsersQuery)).rejects.toThrow(TypeError);
    expect(server.requests.api).toBe(0);
  });

  const page = { users: [], total_users: 0, page: 1, limit: 15, created_before: 1 };
  it.each([
    ['no users', { ...page, users: undefined }],
    ['users that are none', { ...page, users: [null] }],
    ['users without an id', { ...page, users: [{ email: 'a@example.com' }] }],
    ['no total', { ...page, total_users: undefined }],
    ['a page that is no number', { ...page, page: '1' }],
    ['nothing', null],
  ])('does not take %s for a page', async (_name, answer) => {
    await using issuer = await Issuer.start();
    issuer.answer = json(answer);
    await expect(issuer.passage().user.listPage()).rejects.toMatchObject({
      code: 'ERR_PASSAGE_API',
      apiStatus: 200,
    });
  });
});

describe('passage.auth.createMagicLink', () => {
  it.each<[string, (userId: string) => CreateMagicLinkArgs, string]>([
    ['an email address', () => ({ email: 'new@example.com', type: 'login', send: true }), 'new@example.com'],
    ['a phone number', () => ({ phone: '+12025550199', type: 'login', send: true }), '+12025550199'],
    ['a user, by email', (userId) => ({ userId, channel: 'email', send: true }), 'ada@example.com'],
    ['a user, by phone', (userId) => ({ userId, channel: 'phone', send: true }), '+12025550123'],
  ])('sends a link to %s', async (_name, argsFor, identifier) => {
    await using server = await startPassage();
    const passage = new Passage(server.options);
    const { id } = await passage.user.create({ email: 'ada@example.com', phone: '+12025550123' });
    const link = await passage.auth.createMagicLink(argsFor(id));
    expect(link).toMatchObject({
      appId: server.options.appId,
      identifier,
      type: 'login',
      activated: false,
      url: expect.stringContaining(encodeURIComponent(link.secret)),
    });
    expect(server.outbox).toMatchObject([{ to: identifier, kind: 'magic_link', url: link.url }]);
    expect((await passage.user.getByIdentifier(identifier)).id).toBe(link.userId);
  });

  it('only makes the link where it is not to be sent', async () => {
    await using server = await startPassage();
    const { auth } = new Passage(server.options);
    const link = await auth.createMagicLink({ email: 'ada@example.com', type: 'verify_identifier' });
    expect(link.type).toBe('verify_identifier');
    expect(server.outbox).toEqual([]);
  });

  it('passes on language, path, target and lifetime', async () => {
    await using server = await startPassage({ app: { allowedCallbackUrls: ['https://app.example/done'] } });
    const { auth } = new Passage(server.options);
    const link = await auth.createMagicLink(
      { email: 'ada@example.com', send: true },
      { language: 'de', magicLinkPath: '/welcome', redirectUrl: 'https://app.example/done', ttl: 7 },
    );
    expect(link).toMatchObject({ ttl: 7, redirectUrl: 'https://app.example/done' });
    expect(new URL(link.url).pathname).toBe('/welcome');
    const english = await auth.createMagicLink({ email: 'ada@example.com', send: true }, { language: 'en' });
    expect(english.ttl).toBe(10);
    const [german, other] = server.outbox;
    expect(german?.subject).not.toBe(other?.subject);
  });

  it('says why the API refuses', async () => {
    await using server = await startPassage();
    const { auth } = new Passage(server.options);
    const to = { email: 'ada@example.com' };
    for (const options of [
      { magicLinkPath: 'https://evil.example' },
      { redirectUrl: 'https://evil.example' },
    ]) {
      await expect(auth.createMagicLink(to, options)).rejects.toMatchObject(refusal(400, 'invalid_request'));
    }
    await expect(auth.createMagicLink({ userId: 'unknown', channel: 'email' })).rejects.toMatchObject({
      apiStatus: 404,
    });
    await expect(auth.createMagicLink({ email: 'nobody' })).rejects.toMatchObject({ apiStatus: 400 });
  });

  it.each<[string, object, MagicLinkOptions, RegExp]>([
    ['nobody', {}, {}, /Exactly one of/],
    ['two recipients', { email: 'a@example.com', phone: '+12025550123' }, {}, /Exactly one of/],
    ['a blank address', { email: ' ' }, {}, /"email"/],
    ['a phone number of no text', { phone: 1 }, {}, /"phone"/],
    ['a user without a channel', { userId: 'user1' }, {}, /"channel"/],
    ['no time', { email: 'a@example.com' }, { ttl: 0 }, /"ttl"/],
    ['half a minute', { email: 'a@example.com' }, { ttl: 0.5 }, /"ttl"/],
  ])('makes no link for %s', async (_name, args, options, message) => {
    await using server = await startPassage();
    const { auth } = new Passage(server.options);
    await expect(auth.createMagicLink(args as never, options)).rejects.toThrow(TypeError);
    await expect(auth.createMagicLink(args as never, options)).rejects.toThrow(message);
    expect(server.requests.api).toBe(0);
  });

  it('ends when its signal says so', async () => {
    await using server = await startPassage();
    const { auth } = new Passage(server.options);
    const signal = AbortSignal.abort(new Error('no longer needed'));
    await expect(auth.createMagicLink({ email: 'ada@example.com' }, { signal })).rejects.toThrow(
      'no longer needed',
    );
  });
});

describe('passage.app', () => {
  it('gives the settings of the app', async () => {
    await using server = await startPassage({ app: { name: 'Example' } });
    expect(await new Passage(server.options).app()).toMatchObject({
      id: server.options.appId,
      name: 'Example',
      type: 'complete',
      createdAt: expect.any(Date),
      authMethods: { passkeys: { enabled: true }, magicLink: { ttl: 600 } },
      sessionTimeoutLength: 15,
    });
  });
});

describe('answers of a newer server', () => {
  it('are data: unknown fields and values, absent lists, dates before all time', async () => {
    await using issuer = await Issuer.start();
    const connection = { provider_id: '1', created_at: '2026-01-01T00:00:00Z', last_login_at: null };
    issuer.answer = json({
      user: {
        id: 'user1',
        status: 'frozen',
        some_new_field: [{ inner_name: 1 }],
        created_at: '2026-01-02T03:04:05.123456Z',
        updated_at: 'yesterday',
        last_login_at: '0001-01-01T00:00:00Z',
        webauthn_devices: null,
        recent_events: null,
        social_connections: { google: connection },
      },
    });
    expect(await issuer.passage().user.get('user1')).toEqual({
      id: 'user1',
      status: 'frozen',
      someNewField: [{ innerName: 1 }],
      createdAt: new Date('2026-01-02T03:04:05.123Z'),
      updatedAt: null,
      lastLoginAt: null,
      userMetadata: null,
      webauthnDevices: [],
      webauthnTypes: [],
      recentEvents: [],
      socialConnections: {
        google: { providerId: '1', createdAt: new Date('2026-01-01T00:00:00Z'), lastLoginAt: null },
      },
    });
  });
});
