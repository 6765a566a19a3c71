import { createPrivateKey } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { expect, it } from 'vitest';
import { describeStored } from '../../test/databases.ts';
import { type Answer, signingKey, TestServer } from '../../test/server.ts';

const ada = 'ada@example.com';
const mallory = 'mallory@evil.example';
const day = 86_400;

/** Returns the secret of the link that was sent last. */
function linkOf(server: TestServer): string {
  const { searchParams } = new URL(server.messages.findLast(({ url }) => url)?.url ?? '');
  return searchParams.get('psg_verify_link') ?? searchParams.get('psg_magic_link') ?? '';
}

const openLink = (server: TestServer, magic_link: string) =>
  server.auth('PATCH', '/magic-link/activate', { magic_link });

const pollLink = (server: TestServer, id: string) => server.auth('POST', '/magic-link/status', { id });

const enterCode = (server: TestServer, { otpId, code }: { otpId: string; code: string }) =>
  server.auth('POST', '/otp/activate', { otp_id: otpId, otp: code });

const refresh = (server: TestServer, refresh_token: string) =>
  server.auth('POST', '/tokens', { refresh_token });

const logOut = (server: TestServer, token: string) => server.auth('DELETE', `/tokens?refresh_token=${token}`);

const emailOf = async (server: TestServer, id: string) =>
  (await server.manage('GET', `/users/${id}`)).body.user.email;

/** Asks for another address, and returns the link that was sent there. */
async function askForEmail(server: TestServer, token: string, new_email: string): Promise<string> {
  const answer = await server.auth('PATCH', '/currentuser/email', { new_email }, { token });
  expect(answer.status).toBe(200);
  return linkOf(server);
}

/** Has a login link sent to an address. */
async function sendLink(server: TestServer, identifier: string) {
  const { body } = await server.auth('POST', '/login/magic-link', { identifier });
  return { id: body.magic_link.id as string, secret: linkOf(server) };
}

/** A user with a proven address and a passkey, logged in by link. */
async function enroll(server: TestServer, email: string) {
  const session = await server.signIn(email);
  const authenticator = server.authenticator();
  await authenticator.addTo(session);
  const { body } = await server.auth('GET', '/currentuser/devices', undefined, { token: session.token });
  return { ...session, authenticator, deviceId: body.devices[0].id as string };
}

/** Everything that changes what lets a user in, begun with an access token. */
async function changeCredentials(server: TestServer, token: string, deviceId: string): Promise<number[]> {
  const answers: Answer[] = [];
  for (const [method, path, body] of [
    ['PATCH', '/currentuser/email', { new_email: 'new@example.com' }],
    ['PATCH', '/currentuser/phone', { new_phone: '+12025550123' }],
    ['POST', '/currentuser/devices/start', {}],
    ['DELETE', `/currentuser/devices/${deviceId}`, undefined],
  ] as const)
    answers.push(await server.auth(method, path, body, { token }));
  return answers.map(({ status }) => status);
}

describeStored('Attacks on sessions', (make) => {
  it('3: a session of 20 days changes no credentials, a login of today does', async () => {
    await using server = await TestServer.start(make);
    const { refreshToken, deviceId } = await enroll(server, ada);
    let old = { auth_token: '', refresh_token: refreshToken };
    for (let days = 0; days < 20; days += 4) {
      server.advance(4 * day);
      old = (await refresh(server, old.refresh_token)).body.auth_result;
    }
    expect(await changeCredentials(server, old.auth_token, deviceId)).toEqual([403, 403, 403, 403]);
    expect(server.messages.filter(({ url }) => url)).toEqual([]);
    const today = await server.signIn(ada);
    expect(await changeCredentials(server, today.token, deviceId)).toEqual([200, 200, 200, 200]);
  });

  it('3: a login counts as recent for as long as the setting says, also after a refresh', async () => {
    await using server = await TestServer.start(make, { app: { credentialChangeMaxAge: 600 } });
    const { refreshToken } = await server.signIn(ada);
    server.advance(600);
    const { auth_result } = (await refresh(server, refreshToken)).body;
    const start = () =>
      server.auth('POST', '/currentuser/devices/start', {}, { token: auth_result.auth_token });
    expect((await start()).status).toBe(200);
    server.advance(1);
    expect(await start()).toMatchObject({
      status: 403,
      body: { code: 'operation_not_allowed', error: 'Log in again to change how you log in' },
    });
  });

  it.each([
    ['a month', 30 * day, 403],
    ['a minute', 60, 200],
  ])(
    '3: a login dated by a clock that was %s ahead is recent only if that is little',
    async (_, ahead, status) => {
      await using server = await TestServer.start(make);
      server.advance(ahead);
      const { refreshToken } = await server.signIn(ada);
      server.advance(-ahead);
      const { auth_result } = (await refresh(server, refreshToken)).body;
      const start = await server.auth(
        'POST',
        '/currentuser/devices/start',
        {},
        { token: auth_result.auth_token },
      );
      expect(start.status).toBe(status);
      expect(
        (await server.auth('GET', '/currentuser', undefined, { token: auth_result.auth_token })).status,
      ).toBe(200);
    },
  );

  it('4: a change of address that was asked for is void once all sessions are ended', async () => {
    await using server = await TestServer.start(make);
    const [user, other] = [await server.signIn(ada), await server.signIn('bob@example.com')];
    const links = [
      await askForEmail(server, user.token, 'ada@new.example'),
      await askForEmail(server, other.token, 'bob@new.example'),
    ] as const;
    await server.manage('DELETE', `/users/${user.id}/tokens`);
    expect((await openLink(server, links[0])).status).toBe(404);
    expect(await emailOf(server, user.id)).toBe(ada);
    expect((await openLink(server, links[1])).status).toBe(200);
    expect(await emailOf(server, other.id)).toBe('bob@new.example');
  });

  it('4: two changes of one address asked for: the second is void once the first is made', async () => {
    await using server = await TestServer.start(make);
    const { token, id } = await server.signIn(ada);
    const first = await askForEmail(server, token, 'ada@first.example');
    const second = await askForEmail(server, token, 'ada@second.example');
    expect((await openLink(server, second)).status).toBe(200);
    expect((await openLink(server, first)).status).toBe(404);
    expect(await emailOf(server, id)).toBe('ada@second.example');
  });

  it.each([
    ['nothing', [], true],
    ['the user was deactivated and activated', ['PATCH /deactivate', 'PATCH /activate'], false],
    ['the back end changed the address', ['PATCH '], false],
    ['the back end changed the address and back', ['PATCH ', 'PATCH  back'], false],
  ])('5: code, link and poll made before %s', async (_, calls, good) => {
    await using server = await TestServer.start(make);
    const { id } = await server.signIn(ada);
    const code = await server.sendCode(ada);
    const link = await sendLink(server, ada);
    const polled = await sendLink(server, ada);
    expect((await openLink(server, polled.secret)).status).toBe(200);
    for (const call of calls) {
      const [method = '', path = '', back] = call.split(' ');
      const body = path ? undefined : { email: back ? ada : 'ada@new.example' };
      expect((await server.manage(method, `/users/${id}${path}`, body)).status).toBe(200);
    }
    expect([
      (await enterCode(server, code)).status,
      (await openLink(server, link.secret)).status,
      (await pollLink(server, polled.id)).status,
    ]).toEqual(good ? [200, 200, 200] : [400, 404, 404]);
  });

  it.each([
    ['changed on day 2', true, 404],
    ['kept', false, 200],
  ])('6: a link of the back end for a week, opened on day 6, its address %s', async (_, change, status) => {
    await using server = await TestServer.start(make);
    const link = await server.createLink(ada, { ttl: 7 * 24 * 60 });
    server.advance(2 * day);
    if (change) await server.manage('PATCH', `/users/${link.user_id}`, { email: 'ada@new.example' });
    server.advance(4 * day);
    expect((await openLink(server, link.secret)).status).toBe(status);
  });

  it('7: an access token reads after the log-out, and changes nothing', async () => {
    await using server = await TestServer.start(make);
    const { token, refreshToken, deviceId } = await enroll(server, ada);
    const kept = await server.signIn(ada);
    const { body } = await server.auth('POST', '/currentuser/devices/start', {}, { token });
    await logOut(server, refreshToken);
    expect((await server.auth('GET', '/currentuser', undefined, { token })).status).toBe(200);
    expect(await changeCredentials(server, token, deviceId)).toEqual([401, 401, 401, 401]);
    const device = `/currentuser/devices/${deviceId}`;
    const rename = { friendly_name: 'Mine' };
    expect((await server.auth('PATCH', device, rename, { token })).status).toBe(401);
    const metadata = { user_metadata: {} };
    expect((await server.auth('PATCH', '/currentuser/user-metadata', metadata, { token })).status).toBe(401);
    const finish = {
      user_id: body.user.id,
      handshake_id: body.handshake.id,
      handshake_response: await server.authenticator().create(body.handshake.challenge.publicKey),
    };
    for (const caller of [token, kept.token]) {
      const answer = await server.auth('POST', '/currentuser/devices/finish', finish, { token: caller });
      expect(answer.status).toBeGreaterThanOrEqual(400);
    }
    expect((await server.auth('PATCH', device, rename, { token: kept.token })).status).toBe(200);
    expect(await changeCredentials(server, kept.token, deviceId)).toEqual([200, 200, 200, 200]);
  });

  it.each([
    ['has no session', { sid: undefined }, false],
    ['has an empty session', { sid: '' }, false],
    ['has a session and was signed by hand', {}, true],
  ])('7: an access token of an older version that %s', async (_, change, good) => {
    await using server = await TestServer.start(make);
    const { token, id, deviceId } = await enroll(server, ada);
    const key = createPrivateKey({ key: { ...signingKey }, format: 'jwk' });
    const header = decodeProtectedHeader(token) as { alg: string };
    const old = await new SignJWT({ ...decodeJwt(token), ...change }).setProtectedHeader(header).sign(key);
    expect((await server.auth('GET', '/currentuser', undefined, { token: old })).status).toBe(200);
    const { body } = await server.auth('POST', '/currentuser/devices/start', {}, { token });
    const finish = {
      user_id: id,
      handshake_id: body.handshake.id,
      handshake_response: await server.authenticator().create(body.handshake.challenge.publicKey),
    };
    const others = [
      await server.auth('POST', '/currentuser/devices/finish', finish, { token: old }),
      await server.auth('PATCH', '/currentuser/user-metadata', { user_metadata: {} }, { token: old }),
      await server.auth('PATCH', `/currentuser/devices/${deviceId}`, { friendly_name: 'x' }, { token: old }),
    ];
    expect(others.map(({ status }) => status)).toEqual(good ? [201, 200, 200] : [401, 401, 401]);
    const changed = good ? [200, 200, 200, 200] : [401, 401, 401, 401];
    expect(await changeCredentials(server, old, deviceId)).toEqual(changed);
  });

  it('7: a session without refresh tokens is a session: it lives as long as its token, and can be ended', async () => {
    await using server = await TestServer.start(make, { app: { refreshEnabled: false } });
    const start = (token: string) => server.auth('POST', '/currentuser/devices/start', {}, { token });
    const ended = await server.signIn(ada);
    await server.manage('DELETE', `/users/${ended.id}/tokens`);
    const kept = await server.signIn(ada);
    server.advance(899);
    expect((await start(ended.token)).status).toBe(401);
    expect((await start(kept.token)).status).toBe(200);
  });

  it('7: a ceremony that one session began is finished by no other session of the user', async () => {
    await using server = await TestServer.start(make);
    const [first, second] = [await server.signIn(ada), await server.signIn(ada)];
    for (const [token, status] of [
      [second.token, 400],
      [first.token, 201],
    ] as const) {
      const start = await server.auth('POST', '/currentuser/devices/start', {}, { token: first.token });
      const { handshake, user } = start.body;
      const body = {
        user_id: user.id,
        handshake_id: handshake.id,
        handshake_response: await server.authenticator().create(handshake.challenge.publicKey),
      };
      expect((await server.auth('POST', '/currentuser/devices/finish', body, { token })).status).toBe(status);
    }
  });

  it.each(['the user', 'the back end'])('8: a session ends with the passkey that %s deletes', async (who) => {
    await using server = await TestServer.start(make);
    const user = await enroll(server, ada);
    const other = server.authenticator();
    await other.addTo(user);
    const [lost, kept] = [await user.authenticator.signIn(ada), await other.signIn(ada)];
    const path = `devices/${user.deviceId}`;
    if (who === 'the user')
      await server.auth('DELETE', `/currentuser/${path}`, undefined, { token: kept.token });
    else await server.manage('DELETE', `/users/${user.id}/${path}`);
    expect((await refresh(server, lost.refreshToken)).status).toBe(401);
    expect((await refresh(server, kept.refreshToken)).status).toBe(201);
    expect((await refresh(server, user.refreshToken)).status).toBe(201);
  });

  it('10: who presses the link of somebody else gets no session, and reads whose account it is', async () => {
    await using server = await TestServer.start(make);
    const victim = await server.signIn(ada);
    const stranger = await server.signIn(mallory);
    const link = await askForEmail(server, stranger.token, 'victim@example.com');
    expect(server.messages.findLast(({ url }) => url)).toMatchObject({
      kind: 'verify_identifier',
      account: 'm***@e***.example',
      text: expect.stringContaining('m***@e***.example'),
    });
    server.advance(60);
    const { auth_result } = (await openLink(server, link)).body;
    expect(auth_result.refresh_token).toBeUndefined();
    expect(auth_result.refresh_token_expiration).toBeUndefined();
    const [asked, answered] = [stranger.token, auth_result.auth_token].map((token) => decodeJwt(token));
    expect([answered?.sub, answered?.sid, answered?.auth_time]).toEqual([
      asked?.sub,
      asked?.sid,
      asked?.auth_time,
    ]);
    // The account that asked counts no login, and the visitor's own session goes on.
    const { user } = (await server.manage('GET', `/users/${stranger.id}`)).body;
    expect(user).toMatchObject({ email: 'victim@example.com', email_verified: true, login_count: 1 });
    expect((await refresh(server, victim.refreshToken)).status).toBe(201);
    // What the visitor got ends with the session that asked.
    await logOut(server, stranger.refreshToken);
    expect(
      (await server.auth('POST', '/currentuser/devices/start', {}, { token: auth_result.auth_token })).status,
    ).toBe(401);
  });

  it('10: who asked for the link goes on with the session that they have', async () => {
    await using server = await TestServer.start(make);
    const { token, refreshToken, id } = await server.signIn(ada);
    const asked = await server.auth(
      'PATCH',
      '/currentuser/email',
      { new_email: 'ada@new.example' },
      { token },
    );
    const opened = await openLink(server, linkOf(server));
    const polled = await pollLink(server, asked.body.magic_link.id);
    for (const { status, body } of [opened, polled]) {
      expect(status).toBe(200);
      const caller = { token: body.auth_result.auth_token };
      expect((await server.auth('POST', '/currentuser/devices/start', {}, caller)).status).toBe(200);
      expect(body.auth_result.refresh_token).toBeUndefined();
    }
    expect((await refresh(server, refreshToken)).status).toBe(201);
    expect(await emailOf(server, id)).toBe('ada@new.example');
  });

  it('10: a link of the back end that proves an address opens no lasting session', async () => {
    await using server = await TestServer.start(make);
    const verify = await server.createLink(ada, { type: 'verify_identifier' });
    const { auth_result } = (await openLink(server, verify.secret)).body;
    expect(auth_result).toEqual({ auth_token: expect.any(String), redirect_url: '/' });
    const login = await server.createLink(ada);
    expect((await openLink(server, login.secret)).body.auth_result.refresh_token).toEqual(expect.any(String));
  });

  it('18: two tabs get the same successor; a use after a minute ends the session', async () => {
    await using server = await TestServer.start(make);
    const { refreshToken } = await server.signIn(ada);
    const other = await server.signIn(ada);
    const first = (await refresh(server, refreshToken)).body.auth_result;
    server.advance(2);
    const second = (await refresh(server, refreshToken)).body.auth_result;
    expect(second.refresh_token).toBe(first.refresh_token);
    expect(second.refresh_token_expiration).toBe(first.refresh_token_expiration);
    expect(first.refresh_token).not.toBe(refreshToken);
    server.advance(58);
    expect((await refresh(server, refreshToken)).status).toBe(401);
    expect((await refresh(server, first.refresh_token)).status).toBe(401);
    expect((await refresh(server, other.refreshToken)).status).toBe(201);
    const warning = server.log.find((line) => line.includes('refresh_token.reused'));
    expect(warning).toBeDefined();
    expect(server.log.join()).not.toContain(refreshToken);
    expect(server.messages).toMatchObject([{ to: ada, kind: 'refresh_reused' }]);
  });

  it('18: a successor that was used is given to nobody again, and the session ends', async () => {
    await using server = await TestServer.start(make);
    const { refreshToken } = await server.signIn(ada);
    const second = (await refresh(server, refreshToken)).body.auth_result.refresh_token;
    const third = (await refresh(server, second)).body.auth_result.refresh_token;
    expect((await refresh(server, refreshToken)).status).toBe(401);
    expect((await refresh(server, third)).status).toBe(401);
  });

  it.each([
    [10, 9, 201],
    [10, 10, 401],
    [60, 59, 201],
    [0, 0, 401],
  ])('18: with an interval of %i, a use %i seconds later is answered %i', async (interval, later, status) => {
    await using server = await TestServer.start(make, { app: { refreshReuseInterval: interval } });
    const { refreshToken } = await server.signIn(ada);
    const next = (await refresh(server, refreshToken)).body.auth_result.refresh_token;
    server.advance(later);
    expect((await refresh(server, refreshToken)).status).toBe(status);
    expect((await refresh(server, next)).status).toBe(status);
  });

  it('18: of 20 uses at once one succeeds where there is no interval, and the session ends', async () => {
    await using server = await TestServer.start(make, { app: { refreshReuseInterval: 0 } });
    const { refreshToken } = await server.signIn(ada);
    const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(server, refreshToken)));
    const good = answers.filter(({ status }) => status === 201);
    expect(good).toHaveLength(1);
    expect((await refresh(server, good[0]?.body.auth_result.refresh_token)).status).toBe(401);
  });

  it('ends what is used at the same moment: no session outlives the end of all', async () => {
    await using server = await TestServer.start(make);
    const { id, authenticator } = await enroll(server, ada);
    for (let round = 0; round < 4; round += 1) {
      const { refreshToken } = await server.signIn(ada);
      const code = await server.sendCode(ada);
      const link = await sendLink(server, ada);
      const polled = await sendLink(server, ada);
      await openLink(server, polled.secret);
      const start = (await server.auth('POST', '/login/webauthn/start', { identifier: ada })).body;
      const ceremony = {
        handshake_id: start.handshake.id,
        handshake_response: await authenticator.get(start.handshake.challenge.publicKey),
      };
      const end = () => server.manage('DELETE', `/users/${id}/tokens`);
      const uses = [
        () => refresh(server, refreshToken),
        () => enterCode(server, code),
        () => openLink(server, link.secret),
        () => pollLink(server, polled.id),
        () => server.auth('POST', '/login/webauthn/finish', ceremony),
      ];
      // The end comes at another place among the uses in each round.
      const answers = await Promise.all(
        [...uses.slice(0, round), end, ...uses.slice(round)].map((use) => use()),
      );
      expect(answers.map(({ status }) => status).filter((status) => status >= 500)).toEqual([]);
      for (const { body } of answers) {
        const token = body?.auth_result?.refresh_token;
        if (token) expect((await refresh(server, token)).status).toBe(401);
      }
    }
  });

  it('ends a login by a passkey that is deleted at the same moment', async () => {
    await using server = await TestServer.start(make);
    const { id } = await server.signIn(ada);
    for (let round = 0; round < 4; round += 1) {
      const authenticator = server.authenticator();
      await authenticator.addTo(await server.signIn(ada));
      const { devices } = (await server.manage('GET', `/users/${id}/devices`)).body;
      const login = () => authenticator.signIn(ada).catch(() => undefined);
      const [session] = await Promise.all([
        login(),
        server.manage('DELETE', `/users/${id}/devices/${devices.at(-1).id}`),
      ]);
      if (session) expect((await refresh(server, session.refreshToken)).status).toBe(401);
    }
  });
});
