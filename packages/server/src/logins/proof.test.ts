import type { Session } from '@passage-auth/testing';
import { expect, it } from 'vitest';
import type { Device } from '../../../testing/src/device.ts';
import { describeDatabases } from '../../test/databases.ts';
import { type Answer, TestServer } from '../../test/server.ts';

const ada = 'ada@example.com';
const addresses = { email: [ada, '+15005550006'], phone: ['+15005550006', ada] } as const;
const mallory = { email: 'mallory@example.com', phone: '+15005550007' };
const app = {
  userMetadataSchema: [
    { fieldName: 'color', type: 'string', registration: true, profile: true },
    { fieldName: 'plan', type: 'string' },
  ],
} as const;

describeDatabases('The first proof of an address', (make) => {
  const ways = [
    ['code', 'email'],
    ['code', 'phone'],
    ['link', 'email'],
    ['link', 'phone'],
  ] as const;

  it.each(ways)('ends what a stranger made who registered it first (%s, %s)', async (way, channel) => {
    await using server = await TestServer.start(make, { app });
    const [owner] = addresses[channel];
    const other = channel === 'email' ? 'phone' : 'email';
    await server.auth('POST', '/users', { identifier: owner, user_metadata: { color: 'stolen' } });
    const device = server.authenticator();
    const stranger = await device.register(owner);
    await server.authenticator().addTo(await device.signIn(owner));
    await changeAddress(server, stranger, other, mallory[other]);
    const added = await server.auth('POST', '/currentuser/devices/start', {}, stranger);
    const begun = await server.auth('POST', '/login/webauthn/start', { identifier: owner });
    const link = await askLink(server, stranger, channel, mallory[channel]);
    const login = await server.auth('POST', '/login/magic-link', { identifier: mallory[other] });
    const loginSecret = secretOf(server);
    const { otpId, code } = await server.sendCode(mallory[other]);

    const { token, userId } = await logIn(server, way, owner);
    expect(userId).toBe(stranger.userId);
    const me = await server.auth('GET', '/currentuser', undefined, { token });
    expect(me.body.user).toMatchObject({
      [channel]: owner,
      [`${channel}_verified`]: true,
      [other]: '',
      [`${other}_verified`]: false,
      webauthn_devices: [],
      user_metadata: null,
    });

    const notice = server.messages.findLast(({ kind }) => kind === 'unproven_removed');
    expect(notice).toMatchObject({
      to: owner,
      notice: { removed: ['passkeys', 'sessions', 'addresses', 'metadata'] },
    });
    const refused = [
      await server.auth('POST', '/tokens', { refresh_token: stranger.refreshToken }),
      await server.auth(
        'PATCH',
        `/currentuser/${channel}`,
        { [`new_${channel}`]: mallory[channel] },
        stranger,
      ),
      await server.auth('PATCH', '/magic-link/activate', { magic_link: link }),
      await server.auth('PATCH', '/magic-link/activate', { magic_link: loginSecret }),
      await server.auth('POST', '/magic-link/status', { id: login.body.magic_link.id }),
      await server.auth('POST', '/otp/activate', { otp_id: otpId, otp: code }),
      await server.auth(
        'POST',
        '/currentuser/devices/finish',
        await answer(server.authenticator(), added, 'create'),
        stranger,
      ),
      await server.auth('POST', '/login/webauthn/finish', await answer(device, begun, 'get')),
      await server.auth('POST', '/login/webauthn/start', { identifier: owner }),
      await server.auth('POST', '/login/otp', { identifier: mallory[other] }),
    ];
    expect(refused.map(({ status }) => status)).toEqual([401, 401, 404, 404, 404, 400, 401, 401, 409, 404]);
  });

  it('removes the unproven address when the one that was added proves itself by a login', async () => {
    await using server = await TestServer.start(make);
    const stranger = await server.authenticator().register(ada);
    await changeAddress(server, stranger, 'phone', mallory.phone);
    const first = await logIn(server, 'code', mallory.phone);
    const me = await server.auth('GET', '/currentuser', undefined, { token: first.token });
    expect(me.body.user).toMatchObject({ email: '', phone: mallory.phone, webauthn_devices: [] });
    // The owner of the address has it for an account of their own.
    const { otpId, code } = await server.sendCode(ada, 'register');
    const own = await server.auth('POST', '/otp/activate', { otp_id: otpId, otp: code });
    const mine = await server.auth('GET', '/currentuser', undefined, {
      token: own.body.auth_result.auth_token,
    });
    expect(mine.body.user.id).not.toBe(me.body.user.id);
  });

  it('is not had by adding an address, and proving that twice', async () => {
    await using server = await TestServer.start(make);
    const device = server.authenticator();
    const stranger = await device.register(ada);
    await changeAddress(server, stranger, 'phone', mallory.phone);
    await changeAddress(server, stranger, 'phone', mallory.phone);
    const { token } = await logIn(server, 'link', ada);
    const me = await server.auth('GET', '/currentuser', undefined, { token });
    expect(me.body.user).toMatchObject({ phone: '', webauthn_devices: [] });
  });

  it('keeps what the back end set, although a stranger had added an address before', async () => {
    await using server = await TestServer.start(make, { app });
    const stranger = await server.authenticator().register(ada);
    await changeAddress(server, stranger, 'phone', mallory.phone);
    const change = { email: 'new@example.com', user_metadata: { plan: 'gold' } };
    await server.manage('PATCH', `/users/${stranger.userId}`, change);
    // The stranger logs in by their phone, which is not the address that the back end knows.
    expect((await logIn(server, 'code', mallory.phone)).userId).toBe(stranger.userId);
    const { token } = await logIn(server, 'code', 'new@example.com');
    const me = await server.auth('GET', '/currentuser', undefined, { token });
    expect(me.body.user).toMatchObject({
      email: 'new@example.com',
      phone: '',
      webauthn_devices: [],
      user_metadata: { plan: 'gold' },
    });
  });

  it.each([
    ['a link of the back end names the address', true],
    ['nobody but the stranger knows the address', false],
  ])('is not had by a second address where %s', async (_, invited) => {
    await using server = await TestServer.start(make, { app });
    const device = server.authenticator();
    const stranger = await device.register(ada);
    await changeAddress(server, stranger, 'phone', mallory.phone);
    const invite = invited ? await server.createLink(ada) : undefined;
    await logIn(server, 'code', mallory.phone);
    const email = await server.auth('GET', `/users?identifier=${ada}`);
    expect(email.body.user?.id).toBe(invited ? stranger.userId : undefined);
    if (!invite) return;
    const { token } = await server.session('PATCH', '/magic-link/activate', { magic_link: invite.secret });
    const me = await server.auth('GET', '/currentuser', undefined, { token });
    expect(me.body.user).toMatchObject({ id: stranger.userId, email: ada, phone: '', webauthn_devices: [] });
    const refresh = await server.auth('POST', '/tokens', { refresh_token: stranger.refreshToken });
    expect(refresh.status).toBe(401);
  });

  it('comes before a change of an address that the back end names', async () => {
    await using server = await TestServer.start(make, { app });
    const change = (session: Session, new_email: string) =>
      server.auth('PATCH', '/currentuser/email', { new_email }, session);
    const stranger = await server.authenticator().register(ada);
    const asked = await askLink(server, stranger, 'email', mallory.email);
    const invite = await server.createLink(ada);
    expect(await change(stranger, mallory.email)).toMatchObject({
      status: 403,
      body: { code: 'operation_not_allowed' },
    });
    expect((await server.auth('PATCH', '/magic-link/activate', { magic_link: asked })).status).toBe(403);
    // To prove the present address is no change.
    expect((await change(stranger, ada)).status).toBe(200);
    const own = await server.session('PATCH', '/magic-link/activate', { magic_link: invite.secret });
    expect((await change(own, 'new@example.com')).status).toBe(200);
    const other = await server.authenticator().register('grace@example.com');
    expect((await change(other, 'hopper@example.com')).status).toBe(200);
  });

  it('is had by a session that a code opened, of an address that the back end added to the sign-up of a stranger', async () => {
    await using server = await TestServer.start(make, { app });
    const device = server.authenticator();
    await server.auth('POST', '/users', { identifier: ada, user_metadata: { color: 'stolen' } });
    const stranger = await device.register(ada);
    await server.manage('PATCH', `/users/${stranger.userId}`, {
      phone: mallory.phone,
      user_metadata: { plan: 'gold' },
    });
    const owner = await logIn(server, 'code', ada);
    await changeAddress(server, owner, 'phone', mallory.phone);
    const refused = [
      await server.auth('POST', '/tokens', { refresh_token: stranger.refreshToken }),
      await server.auth('POST', '/login/webauthn/start', { identifier: ada }),
    ];
    expect(refused.map(({ status }) => status)).toEqual([401, 409]);
    expect(server.messages.at(-1)).toMatchObject({
      kind: 'unproven_removed',
      to: ada,
      notice: { removed: ['passkeys', 'sessions', 'metadata'] },
    });
    await device.addTo(owner);
    // The session is proven from now on, and so is what it adds.
    await logIn(server, 'code', ada);
    await logIn(server, 'link', mallory.phone);
    const user = { email: ada, phone: mallory.phone, user_metadata: { plan: 'gold' } };
    await expectAll(server, owner, user);
  });

  it('removes nothing of users that the back end and imports made', async () => {
    await using server = await TestServer.start(make, { app });
    const both = { email: ada, phone: mallory.phone };
    await server.manage('POST', '/users', { ...both, user_metadata: { color: 'red' } });
    const imported = { email: 'grace@example.com', phone: '+15005550008', email_verified: true };
    await server.server.apps.importUsers(server.appId, [{ ...imported, user_metadata: { color: 'blue' } }]);
    for (const [address, other, color] of [
      [ada, mallory.phone, 'red'],
      ['grace@example.com', '+15005550008', 'blue'],
    ] as const) {
      const { token } = await logIn(server, 'code', address);
      const me = await server.auth('GET', '/currentuser', undefined, { token });
      expect(me.body.user).toMatchObject({ email: address, phone: other, user_metadata: { color } });
      expect((await logIn(server, 'code', other)).userId).toBe(me.body.user.id);
    }
  });

  it('leaves a link of the back end as it is', async () => {
    await using server = await TestServer.start(make);
    await server.manage('POST', '/users', { email: ada });
    const link = await server.createLink(ada);
    await logIn(server, 'code', ada);
    const late = await server.auth('PATCH', '/magic-link/activate', { magic_link: link.secret });
    expect(late.status).toBe(200);
  });

  it('lets the device that asked for the link log in too', async () => {
    await using server = await TestServer.start(make);
    const { body } = await server.auth('POST', '/register/magic-link', { identifier: ada });
    await server.auth('PATCH', '/magic-link/activate', { magic_link: secretOf(server) });
    const claimed = await server.auth('POST', '/magic-link/status', { id: body.magic_link.id });
    expect(claimed.status).toBe(200);
  });
});

describeDatabases('An owner', (make) => {
  it.each(['email', 'phone'] as const)(
    'keeps all that they made when their own session proves the %s',
    async (channel) => {
      await using server = await TestServer.start(make, { app });
      const [owner] = addresses[channel];
      const device = server.authenticator();
      await server.auth('POST', '/users', { identifier: owner, user_metadata: { color: 'red' } });
      const session = await device.register(owner);
      await changeAddress(server, session, channel, owner);
      await logIn(server, 'code', owner);
      await expectAll(server, session, { [channel]: owner, user_metadata: { color: 'red' } });
      await device.signIn(owner);
    },
  );

  it('keeps their passkey when its session proves the address that the back end added', async () => {
    await using server = await TestServer.start(make, { app });
    const session = await server.authenticator().register(ada);
    await server.manage('PATCH', `/users/${session.userId}`, { phone: mallory.phone });
    await changeAddress(server, session, 'email', ada);
    await changeAddress(server, session, 'phone', mallory.phone);
    await logIn(server, 'code', mallory.phone);
    await logIn(server, 'code', ada);
    await expectAll(server, session, { email: ada, phone: mallory.phone });
  });

  it('keeps an address that they added before they proved the first', async () => {
    await using server = await TestServer.start(make);
    const session = await server.authenticator().register(ada);
    await changeAddress(server, session, 'phone', mallory.phone);
    await changeAddress(server, session, 'email', ada);
    await logIn(server, 'code', mallory.phone);
    await logIn(server, 'link', ada);
    await expectAll(server, session, { email: ada, phone: mallory.phone });
  });

  it('keeps all when a session adds a second address later', async () => {
    await using server = await TestServer.start(make);
    const session = await register(server, ada);
    await server.authenticator().addTo(session);
    await changeAddress(server, session, 'phone', mallory.phone);
    await logIn(server, 'code', mallory.phone);
    await logIn(server, 'code', ada);
    await expectAll(server, session, { email: ada, phone: mallory.phone });
    expect(server.messages.filter(({ kind }) => kind === 'unproven_removed')).toEqual([]);
  });

  it('keeps what they entered to register by a code or link', async () => {
    await using server = await TestServer.start(make, { app });
    await server.auth('POST', '/users', { identifier: ada, user_metadata: { color: 'stolen' } });
    await server.auth('POST', '/users', { identifier: ada, user_metadata: { color: 'red' } });
    const { token } = await register(server, ada);
    const me = await server.auth('GET', '/currentuser', undefined, { token });
    expect(me.body.user.user_metadata).toEqual({ color: 'red' });
    await server.auth('PATCH', '/currentuser/user-metadata', { user_metadata: { color: 'blue' } }, { token });
    const next = await logIn(server, 'link', ada);
    const later = await server.auth('GET', '/currentuser', undefined, next);
    expect(later.body.user.user_metadata).toEqual({ color: 'blue' });
  });

  it('has nothing of what a stranger entered, when they log in', async () => {
    await using server = await TestServer.start(make, { app });
    await server.auth('POST', '/users', { identifier: ada, user_metadata: { color: 'stolen' } });
    const { token } = await logIn(server, 'code', ada);
    const me = await server.auth('GET', '/currentuser', undefined, { token });
    expect(me.body.user.user_metadata).toBeNull();
  });

  it('keeps unproven passkeys, and nothing else, where the app says so', async () => {
    await using server = await TestServer.start(make, { app: { unprovenPasskeys: 'keep' } });
    const device = server.authenticator();
    const session = await device.register(ada);
    await changeAddress(server, session, 'phone', mallory.phone);
    const { token } = await logIn(server, 'code', ada);
    const me = await server.auth('GET', '/currentuser', undefined, { token });
    expect(me.body.user).toMatchObject({ phone: '', webauthn_devices: [{ usage_count: 1 }] });
    const refresh = await server.auth('POST', '/tokens', { refresh_token: session.refreshToken });
    expect(refresh.status).toBe(401);
    await device.signIn(ada);
  });
});

/** Answers a ceremony that was begun before. */
async function answer(device: Device, { body }: Answer, how: 'create' | 'get'): Promise<object> {
  const { id, challenge } = body.handshake;
  return {
    handshake_id: id,
    user_id: body.user.id,
    handshake_response: await device[how](challenge.publicKey),
  };
}

async function expectAll(server: TestServer, session: Session, user: object): Promise<void> {
  const refresh = await server.auth('POST', '/tokens', { refresh_token: session.refreshToken });
  expect(refresh.status).toBe(201);
  const { body } = await server.auth('GET', '/currentuser', undefined, session);
  expect(body.user).toMatchObject(user);
  expect(body.user.webauthn_devices).toHaveLength(1);
}

/** Registers by a code, as an owner does. */
async function register(server: TestServer, identifier: string): Promise<Session> {
  const { otpId, code } = await server.sendCode(identifier, 'register');
  return server.session('POST', '/otp/activate', { otp_id: otpId, otp: code });
}

async function logIn(server: TestServer, way: 'code' | 'link', identifier: string): Promise<Session> {
  if (way === 'link') {
    await server.auth('POST', '/login/magic-link', { identifier });
    return server.session('PATCH', '/magic-link/activate', { magic_link: secretOf(server) });
  }
  const { otpId, code } = await server.sendCode(identifier);
  return server.session('POST', '/otp/activate', { otp_id: otpId, otp: code });
}

/** Has a session ask for a link that proves an address, and returns its secret. */
async function askLink(
  server: TestServer,
  session: Session,
  channel: 'email' | 'phone',
  address: string,
): Promise<string> {
  await server.auth('PATCH', `/currentuser/${channel}`, { [`new_${channel}`]: address }, session);
  return secretOf(server);
}

async function changeAddress(
  server: TestServer,
  session: Session,
  channel: 'email' | 'phone',
  address: string,
): Promise<void> {
  const magic_link = await askLink(server, session, channel, address);
  const { status } = await server.auth('PATCH', '/magic-link/activate', { magic_link });
  expect(status).toBe(200);
}

/** Secret of the link that was sent last. */
function secretOf(server: TestServer): string {
  const { searchParams } = new URL(server.messages.findLast(({ url }) => url)?.url ?? '');
  return searchParams.get('psg_magic_link') ?? searchParams.get('psg_verify_link') ?? '';
}
