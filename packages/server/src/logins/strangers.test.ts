import { expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';

const [ada, phone] = ['ada@example.com', '+15005550006'];
const app = {
  userMetadataSchema: [
    { fieldName: 'role', type: 'string' },
    { fieldName: 'color', type: 'string', registration: true, profile: true },
  ],
} as const;

const startRegistration = (server: TestServer, identifier: string) =>
  server.auth('POST', '/register/webauthn/start', { identifier });

describeDatabases('A stranger', (make) => {
  it.each([
    ['email', ada],
    ['phone', phone],
  ] as const)('learns nothing but the %s that was asked for', async (asked, identifier) => {
    await using server = await TestServer.start(make, { app });
    const { id, authenticator } = await server.register(ada);
    await server.manage('PATCH', `/users/${id}`, { phone, user_metadata: { role: 'admin' } });
    const other = asked === 'email' ? 'phone' : 'email';
    const start = await server.auth('POST', '/login/webauthn/start', { identifier });
    const answers = [
      (await server.auth('GET', `/users?identifier=${encodeURIComponent(identifier)}`)).body.user,
      start.body.user,
    ];
    for (const user of answers) {
      expect(user).toMatchObject({
        id,
        [asked]: identifier,
        [other]: '',
        user_metadata: null,
        webauthn: true,
      });
      expect(user).toMatchObject({ [`${other}_verified`]: false, status: 'active' });
      expect(JSON.stringify(user)).not.toMatch(/admin/);
    }
    // The user themselves sees it all.
    const finish = await server.auth('POST', '/login/webauthn/finish', {
      handshake_id: start.body.handshake.id,
      handshake_response: await authenticator.get(start.body.handshake.challenge.publicKey),
    });
    const own = await server.auth('GET', '/currentuser', undefined, {
      token: finish.body.auth_result.auth_token,
    });
    expect(own.body.user).toMatchObject({ email: ada, phone, user_metadata: { role: 'admin' } });
  });

  it.each([
    ['', 'red'],
    ['activate', 'blue'],
    ['deactivate', 'blue'],
  ])('enters no metadata into a sign-up that the back end has answered by "%s"', async (answer, color) => {
    await using server = await TestServer.start(make, { app, enumeration: 'strict' });
    const enter = (color: string) =>
      server.auth('POST', '/users', { identifier: ada, user_metadata: { color } });
    const { id } = (await enter('blue')).body.user;
    if (answer) expect((await server.manage('PATCH', `/users/${id}/${answer}`)).status).toBe(200);
    expect((await enter('red')).status).toBe(201);
    const { user } = (await server.manage('GET', `/users/${id}`)).body;
    expect(user.user_metadata).toEqual({ color });
  });

  it.each([
    ['closed', false, [403, 403, 403]],
    ['open', true, [200, 200, 201]],
  ])('finishes no sign-up once it is %s', async (_, publicSignup, statuses) => {
    await using server = await TestServer.start(make);
    const { otpId, code } = await server.sendCode('code@example.com', 'register');
    await server.auth('POST', '/register/magic-link', { identifier: 'link@example.com' });
    const secret = new URL(server.messages.at(-1)?.url ?? '').searchParams.get('psg_magic_link');
    const { body } = await startRegistration(server, ada);
    const invite = await server.createLink('invited@example.com');
    await server.server.apps.update(server.appId, { publicSignup });
    const finished = [
      await server.auth('POST', '/otp/activate', { otp_id: otpId, otp: code }),
      await server.auth('PATCH', '/magic-link/activate', { magic_link: secret }),
      await server.auth('POST', '/register/webauthn/finish', {
        user_id: body.user.id,
        handshake_id: body.handshake.id,
        handshake_response: await server.authenticator().create(body.handshake.challenge.publicKey),
      }),
    ];
    expect(finished.map(({ status }) => status)).toEqual(statuses);
    const invited = await server.auth('PATCH', '/magic-link/activate', { magic_link: invite.secret });
    expect(invited.status).toBe(200);
  });

  it.each(['passage', 'strict'] as const)(
    'cannot enter users of the back end by passkey (%s)',
    async (enumeration) => {
      await using server = await TestServer.start(make, { app, enumeration });
      const known = ['import@example.com', 'pending@example.com', 'made@example.com', 'linked@example.com'];
      await server.server.apps.importUsers(server.appId, [
        { email: known[0], email_verified: true },
        { email: known[1], email_verified: true, status: 'pending' },
      ]);
      await server.manage('POST', '/users', { email: known[2], user_metadata: { role: 'admin' } });
      await server.createLink(known[3] ?? '');
      for (const identifier of known) {
        const start = await startRegistration(server, identifier);
        if (enumeration === 'passage') {
          expect([400, 403]).toContain(start.status);
          continue;
        }
        const { handshake, user } = start.body;
        const finish = await server.auth('POST', '/register/webauthn/finish', {
          user_id: user.id,
          handshake_id: handshake.id,
          handshake_response: await server.authenticator().create(handshake.challenge.publicKey),
        });
        expect(finish.status).toBe(400);
      }
      // The owner gets in by code, with what the back end gave them.
      const { otpId, code } = await server.sendCode('made@example.com');
      const login = await server.auth('POST', '/otp/activate', { otp_id: otpId, otp: code });
      const own = await server.auth('GET', '/currentuser', undefined, {
        token: login.body.auth_result.auth_token,
      });
      expect(own.body.user).toMatchObject({
        status: 'active',
        user_metadata: { role: 'admin' },
        webauthn: false,
      });
      // A new address is open.
      expect((await server.register('new@example.com')).id).toBeTruthy();
    },
  );

  it('cannot enter an unfinished sign-up once the back end knows of it, not even in mid-ceremony', async () => {
    await using server = await TestServer.start(make, { app });
    const begin = async () => (await startRegistration(server, ada)).body;
    const finish = async ({ handshake, user }: Awaited<ReturnType<typeof begin>>) =>
      server.auth('POST', '/register/webauthn/finish', {
        user_id: user.id,
        handshake_id: handshake.id,
        handshake_response: await server.authenticator().create(handshake.challenge.publicKey),
      });
    const begun = await begin();
    await server.manage('PATCH', `/users/${begun.user.id}`, { user_metadata: { role: 'admin' } });
    expect(await finish(begun)).toMatchObject({ status: 403, body: { code: 'identifier_not_verified' } });
    expect(await startRegistration(server, ada)).toMatchObject({ status: 403 });
    // Its twin, of which the back end knows nothing.
    const twin = (await startRegistration(server, 'grace@example.com')).body;
    expect((await finish(twin)).status).toBe(201);
  });

  it.each([
    '/redirect?to=https://evil.example/',
    '/.//evil.example',
    '/%2e//evil.example',
    '/login/../redirect',
    '/login/',
    '//evil.example',
    'https://evil.example/login',
  ])('cannot choose the page %s of a mail', async (magic_link_path) => {
    await using server = await TestServer.start(make, {
      app: { loginUrl: '/login', allowedLinkPaths: ['/in'] },
    });
    const { token } = await server.signIn(ada);
    const identifier = 'grace@example.com';
    const send = (path: string) => [
      server.auth('POST', '/register/magic-link', { identifier, magic_link_path: path }),
      server.auth('PATCH', '/currentuser/email', { new_email: identifier, magic_link_path: path }, { token }),
    ];
    for (const { status } of await Promise.all(send(magic_link_path))) expect(status).toBe(400);
    expect(server.messages).toHaveLength(0);
    for (const { status } of await Promise.all(send('/in?next=https://evil.example#evil'))) {
      expect(status).toBeLessThan(300);
    }
    expect(server.messages).toHaveLength(2);
    for (const { url } of server.messages) {
      expect(url).toMatch(/^https:\/\/www\.example\.com\/in\?psg_(magic|verify)_link=\w+$/);
    }
  });

  it.each([
    '+evil@example.com',
    '\u{200b}ada@example.com',
    'a\u{ad}da@example.com',
    'ada@exam\u{200d}ple.com',
    'ａda@example.com',
    'ada@ｅxample.com',
    'a\u{34f}da@example.com',
    'ada\u{fe0f}@example.com',
    'ada\u{3164}@example.com',
    'ada\u{2800}@example.com',
    'ada\u{e0100}@example.com',
    'ada@127.0.0.1',
    'ada@[127.0.0.1]',
    'ada@evil.example#.example.com',
    'ada@evil.example/.example.com',
    'ada@evil.example?.example.com',
    'ada@evil.example\\.example.com',
    'ada@ex%61mple.com',
    'a\u0007da@example.com',
  ])('cannot take the address %j', async (address) => {
    await using server = await TestServer.start(make);
    const { id, token } = await server.signIn('owner@example.com');
    await server.manage('PATCH', `/users/${id}`, { phone });
    const before = (await server.manage('GET', `/users/${id}`)).body.user;
    const { token: fresh } = await server.signIn('owner@example.com');
    const change = await server.auth('PATCH', '/currentuser/email', { new_email: address }, { token: fresh });
    expect(change).toMatchObject({
      status: 400,
      // Control characters are refused before anybody reads the address.
      body: {
        error: /\p{Cc}/u.test(address)
          ? 'The request contains characters that are not allowed'
          : 'identifier: must be a valid email address.',
      },
    });
    expect((await server.manage('POST', '/users', { email: address })).status).toBe(400);
    const after = (await server.manage('GET', `/users/${id}`)).body.user;
    expect(after).toMatchObject({ email: before.email, phone: before.phone });
    expect(token).toBeTruthy();
  });

  it.each([
    ['Ada@EXAMPLE.com', 'ada@example.com'],
    ['ada@bücher.example', 'ada@xn--bcher-kva.example'],
    ['ÉLODIE@example.com', 'e\u0301lodie@example.com'],
  ])('has one account for %s and %s', async (first, second) => {
    await using server = await TestServer.start(make);
    const made = await server.manage('POST', '/users', { email: first });
    expect(made.status).toBe(201);
    expect(await server.manage('POST', '/users', { email: second })).toMatchObject({ status: 400 });
    const found = await server.auth('GET', `/users?identifier=${encodeURIComponent(second)}`);
    expect(found.body.user.id).toBe(made.body.user.id);
  });

  it('writes no metadata that the back end has not opened', async () => {
    await using server = await TestServer.start(make, { app });
    const role = { role: 'admin' };
    const signUp = (user_metadata: object) =>
      server.auth('POST', '/users', { identifier: ada, user_metadata });
    expect(await signUp(role)).toMatchObject({ status: 400 });
    expect(await signUp({ color: 'blue' })).toMatchObject({
      status: 201,
      body: { user: { user_metadata: null } },
    });
    const { token } = await server.signIn('grace@example.com');
    const change = (user_metadata: object) =>
      server.auth('PATCH', '/currentuser/user-metadata', { user_metadata }, { token });
    expect(await change(role)).toMatchObject({ status: 400 });
    expect(await change({ color: 'blue', ...role })).toMatchObject({ status: 400 });
    expect(await change({ color: 'blue' })).toMatchObject({ status: 200 });
  });

  it('is kept out by every setting, also if several are changed at once', async () => {
    await using server = await TestServer.start(make);
    for (let round = 0; round < 5; round++) {
      const { apps } = server.server;
      await apps.update(server.appId, { publicSignup: true, requireIdentifierVerification: false });
      await Promise.all([
        apps.update(server.appId, { publicSignup: false }),
        apps.update(server.appId, { requireIdentifierVerification: true }),
        apps.update(server.appId, { name: `Round ${round}` }),
      ]);
      expect(await apps.get(server.appId)).toMatchObject({
        publicSignup: false,
        requireIdentifierVerification: true,
        name: `Round ${round}`,
      });
    }
    expect((await server.auth('POST', '/users', { identifier: ada })).status).toBe(403);
  });
});
