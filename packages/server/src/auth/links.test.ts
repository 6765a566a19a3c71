import { expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { origin, TestServer } from '../../test/server.ts';

const ada = 'ada@example.com';

describeDatabases('Magic links', (make) => {
  const activate = (server: TestServer, magic_link: string) =>
    server.auth('PATCH', '/magic-link/activate', { magic_link });
  const status = (server: TestServer, id: string) => server.auth('POST', '/magic-link/status', { id });

  it('registers and logs in by the link that was sent', async () => {
    await using server = await TestServer.start(make, {
      app: { redirectUrl: '/home', allowedLinkPaths: ['/in'] },
    });
    for (const [action, code] of [
      ['register', 201],
      ['login', 200],
    ] as const) {
      const request = { identifier: ada, magic_link_path: '/in?a=1#top', language: 'pl' };
      const sent = await server.auth('POST', `/${action}/magic-link`, request);
      expect(sent.status).toBe(code);
      const message = server.messages.at(-1);
      expect(message).toMatchObject({ kind: 'magic_link', to: ada, language: 'pl' });
      const url = new URL(message?.url ?? '');
      expect(url.href).toMatch(/^https:\/\/www\.example\.com\/in\?psg_magic_link=\w{24}$/);
      const done = await activate(server, url.searchParams.get('psg_magic_link') ?? '');
      expect(done).toMatchObject({ status: 200, body: { auth_result: { redirect_url: '/home' } } });
    }
  });

  it('has at least 128 bits and is kept as a hash', async () => {
    await using server = await TestServer.start(make);
    const { secret, id } = await server.createLink(ada);
    expect(secret).toMatch(/^[A-Za-z0-9]{24}$/); // 24 × log2 62 = 142 bits
    expect(server.log.join()).not.toContain(secret);
    expect(server.log.join()).not.toContain(id);
  });

  it('is used up by the first of 50 parallel uses', async () => {
    await using server = await TestServer.start(make);
    const { secret } = await server.createLink(ada);
    const answers = await Promise.all(Array.from({ length: 50 }, () => activate(server, secret)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      expect(answer).toMatchObject({ status: 404, body: { code: 'magic_link_not_found' } });
    }
  });

  it('is not used up by GET and HEAD', async () => {
    await using server = await TestServer.start(make);
    const { secret } = await server.createLink(ada);
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const answer = await server.auth(method, `/magic-link/activate?magic_link=${secret}`);
      expect(answer.status).toBe(404);
    }
    expect((await activate(server, secret)).status).toBe(200);
  });

  it('expires', async () => {
    await using server = await TestServer.start(make);
    const [late, inTime] = [
      await server.createLink(ada, { ttl: 1 }),
      await server.createLink(ada, { ttl: 2 }),
    ];
    server.advance(61);
    expect((await activate(server, late.secret)).status).toBe(404);
    expect((await activate(server, inTime.secret)).status).toBe(200);
  });

  it('belongs to its app', async () => {
    await using server = await TestServer.start(make);
    const { secret, id } = await server.createLink(ada);
    const app = await server.server.apps.create({});
    const other = `/auth/v1/apps/${app.appId}/magic-link`;
    expect((await server.call('PATCH', `${other}/activate`, { magic_link: secret })).status).toBe(404);
    expect((await activate(server, secret)).status).toBe(200);
    expect((await server.call('POST', `${other}/status`, { id })).status).toBe(404);
  });

  it('gives tokens once to the device that asked, after it was opened', async () => {
    await using server = await TestServer.start(make);
    const sent = await server.auth('POST', '/register/magic-link', { identifier: ada });
    const { id } = sent.body.magic_link;
    expect(await status(server, id)).toMatchObject({ status: 404, body: { code: 'magic_link_not_found' } });
    await activate(
      server,
      new URL(server.messages.at(-1)?.url ?? '').searchParams.get('psg_magic_link') ?? '',
    );
    const answers = await Promise.all(Array.from({ length: 20 }, () => status(server, id)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it.each(['//evil.test', '/\\evil.test', 'https://evil.test/', 'javascript:alert(1)', 'login'])(
    'refuses the page %s',
    async (magic_link_path) => {
      await using server = await TestServer.start(make);
      const body = { identifier: ada, magic_link_path };
      expect((await server.auth('POST', '/register/magic-link', body)).status).toBe(400);
      expect((await server.manage('POST', '/magic-links', { email: ada, magic_link_path })).status).toBe(400);
    },
  );

  it.each([
    ['//evil.test', 400],
    ['https://www.example.com.evil.test/', 400],
    ['https://www.example.com@evil.test/', 400],
    ['javascript:alert(1)', 400],
    ['https://partner.test/other', 400],
    ['https://partner.test/done', 201],
    ['/done', 201],
    [`${origin}/done?x=1`, 201],
  ])('answers the redirect to %s with %i', async (redirect_url, code) => {
    await using server = await TestServer.start(make, {
      app: { allowedCallbackUrls: ['https://partner.test/done'] },
    });
    expect((await server.manage('POST', '/magic-links', { email: ada, redirect_url })).status).toBe(code);
  });

  it('changes the address of the user who opens the link', async () => {
    await using server = await TestServer.start(make);
    const { token, id } = await server.signIn(ada);
    const change = await server.auth(
      'PATCH',
      '/currentuser/email',
      { new_email: 'Ada@New.example' },
      { token },
    );
    expect(change).toMatchObject({ status: 200, body: { magic_link: { id: expect.any(String) } } });
    const before = await server.manage('GET', `/users/${id}`);
    expect(before.body.user.email).toBe(ada);
    const message = server.messages.at(-1);
    expect(message).toMatchObject({ kind: 'verify_identifier', to: 'ada@new.example' });
    const secret = new URL(message?.url ?? '').searchParams.get('psg_verify_link') ?? '';
    expect((await activate(server, secret)).status).toBe(200);
    const after = await server.manage('GET', `/users/${id}`);
    expect(after.body.user).toMatchObject({ email: 'ada@new.example', email_verified: true });
  });

  it('adds a phone number, but not one that another user has', async () => {
    await using server = await TestServer.start(make);
    const { token, id } = await server.signIn(ada);
    await server.manage('POST', '/users', { phone: '+12025550123' });
    for (const [new_phone, code, phone] of [
      ['+12025550123', 400, ''],
      ['+12025550124', 200, '+12025550124'],
    ] as const) {
      await server.auth('PATCH', '/currentuser/phone', { new_phone }, { token });
      const url = new URL(server.messages.at(-1)?.url ?? '');
      expect((await activate(server, url.searchParams.get('psg_verify_link') ?? '')).status).toBe(code);
      expect((await server.manage('GET', `/users/${id}`)).body.user.phone).toBe(phone);
    }
    expect(
      (await server.auth('PATCH', '/currentuser/phone', { new_phone: '12' }, { token })).body.error,
    ).toBe('identifier: must be a valid E164 number.');
  });
});

describeDatabases('Magic links of the Management API', (make) => {
  it('answers the whole link and makes the user', async () => {
    await using server = await TestServer.start(make);
    const answer = await server.manage('POST', '/magic-links', {
      email: 'Ada@Example.com',
      channel: 'email',
      type: 'login',
      ttl: 60,
      redirect_url: null,
    });
    expect(answer).toMatchObject({
      status: 201,
      body: {
        magic_link: {
          activated: false,
          app_id: server.appId,
          identifier: ada,
          redirect_url: '/',
          ttl: 60,
          type: 'login',
          url: expect.stringMatching(/^https:\/\/www\.example\.com\/login\?psg_magic_link=/),
        },
      },
    });
    expect(server.messages).toHaveLength(0);
    const { body } = await server.manage('GET', `/users/${answer.body.magic_link.user_id}`);
    expect(body.user).toMatchObject({ email: ada, status: 'pending' });
  });

  it('names the app where it leads to the login page of the server, which is that of all apps', async () => {
    await using server = await TestServer.start(make, {
      baseUrl: 'https://login.example.com',
      app: { authOrigin: 'https://login.example.com' },
    });
    const response = await server.server.fetch(
      new Request(`https://login.example.com/api/v1/apps/${server.appId}/magic-links`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${server.apiKey}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ email: ada, send: false }),
      }),
    );
    const { magic_link } = await response.json();
    const url = new URL(magic_link.url);
    expect(url.href).toMatch(/^https:\/\/login\.example\.com\/login\?app=\w+&psg_magic_link=\w+$/);
    expect(url.searchParams.get('app')).toBe(server.appId);
  });

  it('sends to a user by id', async () => {
    await using server = await TestServer.start(make);
    const { body } = await server.manage('POST', '/users', { phone: '+12025550123' });
    const request = {
      user_id: body.user.id,
      channel: 'phone',
      send: true,
      type: 'verify_identifier',
      language: 'zh',
    };
    expect((await server.manage('POST', '/magic-links', request)).status).toBe(201);
    expect(server.messages).toMatchObject([
      { to: '+12025550123', kind: 'verify_identifier', language: 'zh' },
    ]);
    expect((await server.manage('POST', '/magic-links', { ...request, channel: 'email' })).status).toBe(400);
  });

  it.each([
    [{ email: 'nobody' }, 'identifier: must be a valid email address.'],
    [{ phone: '12' }, 'identifier: must be a valid E164 number.'],
    [
      { email: 'nobody', phone: '12' },
      'identifier: must be a valid E164 number.; identifier: must be a valid email address.',
    ],
    [{}, 'email: cannot be blank; phone: cannot be blank; user_id: cannot be blank.'],
    [{ email: ada, ttl: -1 }, 'ttl: must be no less than 1.'],
    [{ email: ada, language: 'fr' }, 'language: must be one of de, en, es, it, pl, pt, zh.'],
  ])('refuses %j', async (body, error) => {
    await using server = await TestServer.start(make);
    expect(await server.manage('POST', '/magic-links', body)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', error },
    });
  });
});
