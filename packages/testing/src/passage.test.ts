import { Passage } from '@passage-auth/core';
import { describe, expect, it } from 'vitest';
import { type Algorithm, type Duration, startPassage } from './index.ts';

describe('startPassage', () => {
  it('gives options that make a working client', async () => {
    await using passage = await startPassage();
    const client = new Passage(passage.options);
    const user = await passage.createUser({ email: 'ada@example.com' });
    const { headers } = await passage.signIn(user);
    const principal = await client.auth.authenticate(headers);
    expect(principal.user).toMatchObject({ id: user.id, email: 'ada@example.com', status: 'active' });
  });

  it('isolates its servers, at the same time as well', async () => {
    const servers = await Promise.all([startPassage(), startPassage(), startPassage()]);
    const [first, second] = servers;
    const { token } = await first.signIn('ada@example.com');
    expect(second.options.appId).not.toBe(first.options.appId);
    await expect(new Passage(first.options).auth.validateJwt(token)).resolves.toBeTruthy();
    await expect(new Passage(second.options).auth.validateJwt(token)).rejects.toHaveProperty(
      'reason',
      'claim',
    );
    expect((await second.admin.user.listPage()).total).toBe(0);
    await Promise.all(servers.map((server) => server.close()));
  });

  it('takes settings of the app', async () => {
    await using passage = await startPassage({
      app: { authOrigin: 'https://app.example.com', name: 'Example' },
    });
    expect(await passage.admin.app()).toMatchObject({
      name: 'Example',
      authOrigin: 'https://app.example.com',
    });
    expect(passage.authenticator().origin).toBe('https://app.example.com');
  });

  it('answers on a port when asked', async () => {
    await using passage = await startPassage({ port: 0 });
    const { PASSAGE_APP_ID: appId, PASSAGE_API_KEY: apiKey, PASSAGE_BASE_URL: baseUrl } = passage.env;
    const client = new Passage({ appId, apiKey, baseUrl });
    const { headers, userId } = await passage.signIn('ada@example.com');
    expect((await client.auth.authenticate(headers)).user.id).toBe(userId);
    expect(passage.requests).toEqual({ jwks: 1, api: 1 });
  });

  it('refuses a port that is taken', async () => {
    await using passage = await startPassage({ port: 0 });
    const port = Number(new URL(passage.options.baseUrl).port);
    await expect(startPassage({ port })).rejects.toHaveProperty('code', 'EADDRINUSE');
  });

  it('does not answer for other servers', async () => {
    await using passage = await startPassage();
    await expect(passage.options.fetch('https://passage.test.example/livez')).rejects.toThrow(TypeError);
    await expect(passage.options.fetch('https://passage.test/livez')).resolves.toHaveProperty('status', 200);
  });
});

describe('users and sessions', () => {
  it('creates users with and without an address', async () => {
    await using passage = await startPassage();
    expect((await passage.createUser()).email).toMatch(/@example\.com$/);
    expect(await passage.createUser({ phone: '+15005550006' })).toMatchObject({
      phone: '+15005550006',
      status: 'pending',
    });
  });

  it.each(['ada@example.com', '+15005550006'])(
    'signs in %s, with and without an account',
    async (identifier) => {
      await using passage = await startPassage();
      const first = await passage.signIn(identifier);
      const again = await passage.signIn(await passage.admin.user.get(first.userId));
      expect(again.userId).toBe(first.userId);
      expect(again.token).not.toBe(first.token);
      expect(again.refreshToken).not.toBe('');
    },
  );

  it('gives the token as header and as cookie', async () => {
    await using passage = await startPassage();
    const { headers, cookie, token } = await passage.signIn('ada@example.com');
    const client = new Passage({ ...passage.options, cookie: 'psg_auth_token' });
    expect((await client.auth.authenticate(headers)).token).toBe(token);
    expect((await client.auth.authenticate({ cookie }, { method: 'GET' })).token).toBe(token);
  });

  it('cannot sign in a deactivated user', async () => {
    await using passage = await startPassage();
    const user = await passage.createUser();
    await passage.admin.user.deactivate(user.id);
    await expect(passage.signIn(user)).rejects.toMatchObject({ status: 403, code: 'user_not_active' });
    await passage.admin.user.activate(user.id);
    await expect(passage.signIn(user)).resolves.toHaveProperty('userId', user.id);
  });

  it('signs in as long ago as asked: too long ago to add a passkey', async () => {
    await using passage = await startPassage();
    const phone = passage.authenticator();
    const old = await passage.signIn('ada@example.com', { age: '13h' });
    expect((await new Passage(passage.options).auth.authenticate(old.headers)).userId).toBe(old.userId);
    await expect(phone.addTo(old)).rejects.toMatchObject({ status: 403, code: 'operation_not_allowed' });
    await phone.addTo(await passage.signIn('ada@example.com', { age: '11h' }));
    await expect(passage.signIn('ada@example.com', { age: '13' as Duration })).rejects.toThrow(
      '"age" must be a number with ms, s, m, h or d',
    );
  });

  it('names the session in its tokens', async () => {
    await using passage = await startPassage();
    const client = new Passage(passage.options);
    const sessions = [await passage.signIn('ada@example.com'), await passage.signIn('ada@example.com')];
    const claims = await Promise.all(sessions.map(({ token }) => client.auth.verifyToken(token)));
    claims.push(await client.auth.verifyToken(passage.signToken()));
    expect(new Set(claims.map(({ sid }) => sid)).size).toBe(3);
    for (const { auth_time } of claims) expect(auth_time).toEqual(expect.any(Number));
  });

  it('plants a passkey that proves no address, and loses it when the owner logs in', async () => {
    await using passage = await startPassage();
    const stranger = passage.authenticator();
    const { userId } = await stranger.register('ada@example.com');
    expect(await passage.admin.user.get(userId)).toMatchObject({ emailVerified: false, webauthn: true });
    expect((await passage.signIn('ada@example.com')).userId).toBe(userId);
    expect(await passage.admin.user.get(userId)).toMatchObject({ emailVerified: true, webauthn: false });
    await expect(stranger.signIn()).rejects.toMatchObject({ status: 401 });
  });

  it('has no refresh token when the app has none', async () => {
    await using passage = await startPassage({ app: { refreshEnabled: false } });
    expect((await passage.signIn('ada@example.com')).refreshToken).toBe('');
  });

  it('keeps the notices that users get', async () => {
    await using passage = await startPassage();
    const session = await passage.signIn('ada@example.com');
    await passage.authenticator().addTo(session);
    await passage.admin.user.revokeRefreshTokens(session.userId);
    const told = passage.outbox.filter(({ notice }) => notice).map(({ to, kind }) => [to, kind]);
    expect(told).toEqual([
      ['ada@example.com', 'passkey_added'],
      ['ada@example.com', 'sessions_ended'],
    ]);
  });

  it('keeps what was sent', async () => {
    await using passage = await startPassage();
    await passage.admin.auth.createMagicLink({ email: 'ada@example.com', send: true });
    expect(passage.outbox).toMatchObject([{ to: 'ada@example.com', kind: 'magic_link' }]);
    expect(passage.outbox[0]?.url).toContain('psg_magic_link=');
  });
});

describe('badTokens', () => {
  it('holds what every verifier must refuse', async () => {
    await using passage = await startPassage();
    const session = await passage.signIn('ada@example.com');
    const client = new Passage(passage.options);
    await expect(client.auth.authenticate(session.headers)).resolves.toBeTruthy();
    for (const { name, headers, status, code, reason } of await passage.badTokens(session)) {
      const refusal = expect(client.auth.authenticate(headers), name).rejects;
      await refusal.toMatchObject({ status, code, reason });
    }
  });

  it('differs in one thing only: signed by the kit without a change, the token is accepted', async () => {
    await using passage = await startPassage();
    const { userId } = await passage.signIn('ada@example.com');
    const client = new Passage(passage.options);
    await expect(client.auth.validateJwt(passage.signToken({ sub: userId }))).resolves.toBe(userId);
  });

  it('has every reason a token can be refused for', async () => {
    await using passage = await startPassage();
    const gallery = await passage.badTokens();
    const reasons = new Set(gallery.map(({ reason }) => reason));
    expect([...reasons].sort()).toEqual(['algorithm', 'claim', 'expired', 'key', 'malformed', 'signature']);
    expect(new Set(gallery.map(({ token }) => token)).size).toBe(gallery.length);
  });
});

describe('signToken', () => {
  it('puts in and leaves out claims and header members', async () => {
    await using passage = await startPassage();
    const client = new Passage(passage.options);
    const claims = await client.auth.verifyToken(passage.signToken({ role: 'admin', nbf: undefined }));
    expect(claims).toMatchObject({ sub: 'nobody', role: 'admin' });
    expect(claims).not.toHaveProperty('nbf');
    const critical = passage.signToken({}, { crit: ['b64'] });
    await expect(client.auth.verifyToken(critical)).rejects.toHaveProperty('reason', 'malformed');
  });
});

describe('authenticator', () => {
  it.each<Algorithm>(['ES256', 'RS256', 'EdDSA'])('registers and signs in with %s', async (algorithm) => {
    await using passage = await startPassage();
    const phone = passage.authenticator({ algorithms: [algorithm] });
    const registered = await phone.register('ada@example.com');
    const client = new Passage(passage.options);
    expect((await client.auth.authenticate(registered.headers)).user).toMatchObject({ webauthn: true });
    expect((await phone.signIn()).userId).toBe(registered.userId);
    expect((await phone.signIn('ada@example.com')).userId).toBe(registered.userId);
    expect(phone.passkeys).toMatchObject([{ algorithm, counter: 2 }]);
  });

  it('adds the passkey of another device', async () => {
    await using passage = await startPassage();
    const phone = passage.authenticator();
    const key = passage.authenticator({ attachment: 'cross-platform' });
    const session = await phone.register('ada@example.com');
    await key.addTo(session);
    expect((await key.signIn()).userId).toBe(session.userId);
    expect(await passage.admin.user.listDevices(session.userId)).toHaveLength(2);
    await expect(phone.addTo(session)).rejects.toHaveProperty('name', 'InvalidStateError');
  });

  it('is refused when one thing is wrong', async () => {
    await using passage = await startPassage();
    const phone = passage.authenticator();
    const changes = { clientData: { origin: 'https://evil.example' } };
    await expect(phone.register('ada@example.com', changes)).rejects.toMatchObject({ name: 'RefusedError' });
    const session = await passage.authenticator().register('grace@example.com');
    await expect(phone.addTo(session, changes)).rejects.toMatchObject({ name: 'RefusedError' });
    await phone.addTo(session);
    const forged = phone.signIn('grace@example.com', { signature: (bytes) => bytes.fill(0) });
    await expect(forged).rejects.toMatchObject({ status: 401, code: 'webauthn_login_failed' });
    expect((await phone.signIn('grace@example.com')).userId).toBe(session.userId);
  });

  it('notices a cloned passkey', async () => {
    await using passage = await startPassage();
    const phone = passage.authenticator();
    await phone.register('ada@example.com');
    await phone.signIn();
    const [passkey] = phone.passkeys;
    if (passkey) passkey.counter = 0;
    await expect(phone.signIn()).rejects.toMatchObject({ status: 401 });
    await expect(phone.signIn()).resolves.toBeTruthy();
  });
});

describe('advance', () => {
  it('moves the server and the verifier', async () => {
    await using passage = await startPassage();
    const client = new Passage(passage.options);
    const { token } = await passage.signIn('ada@example.com');
    passage.advance('14m');
    await expect(client.auth.validateJwt(token)).resolves.toBeTruthy();
    passage.advance('66s');
    await expect(client.auth.validateJwt(token)).rejects.toHaveProperty('reason', 'expired');
    const later = await passage.signIn('ada@example.com');
    await expect(client.auth.validateJwt(later.token)).resolves.toBeTruthy();
  });

  it('takes every unit', async () => {
    await using passage = await startPassage();
    const before = passage.options.clock();
    for (const duration of ['500ms', '1.5s', '2m', '1h', '1d'] as const) passage.advance(duration);
    const advanced = passage.options.clock() - before;
    expect(advanced).toBeGreaterThanOrEqual(500 + 1500 + 120_000 + 3_600_000 + 86_400_000);
    expect(advanced).toBeLessThan(90_122_000 + 10_000);
  });

  it.each(['15', 'm', '-1m', '1w', ''])('refuses %j', async (duration) => {
    await using passage = await startPassage();
    expect(() => passage.advance(duration as Duration)).toThrow(TypeError);
  });
});

describe('faults', () => {
  it('makes the keys unreachable until the fault ends', async () => {
    await using passage = await startPassage();
    const { headers } = await passage.signIn('ada@example.com');
    const outage = passage.fault('jwks', 'unreachable');
    const client = new Passage(passage.options);
    await expect(client.auth.authenticate(headers)).rejects.toMatchObject({ status: 503 });
    outage.end();
    passage.advance('1s');
    await expect(client.auth.authenticate(headers)).resolves.toBeTruthy();
    expect(passage.requests).toEqual({ jwks: 2, api: 1 });
  });

  it('ends a fault with its scope', async () => {
    await using passage = await startPassage();
    const client = new Passage(passage.options);
    {
      using _ = passage.fault('api', { status: 500 });
      await expect(client.app()).rejects.toMatchObject({ status: 503 });
    }
    await expect(client.app()).resolves.toHaveProperty('id', passage.options.appId);
  });

  it('answers in place of the API', async () => {
    await using passage = await startPassage();
    const { headers } = await passage.signIn('ada@example.com');
    const client = new Passage(passage.options);
    using _ = passage.fault('api', { status: 429, retryAfter: 60 });
    await expect(client.auth.authenticate(headers)).rejects.toMatchObject({
      status: 503,
      headers: { 'Retry-After': '60' },
    });
  });

  it('holds answers back until the fault ends, and counts who waits', async () => {
    await using passage = await startPassage();
    const { headers } = await passage.signIn('ada@example.com');
    const client = new Passage({ ...passage.options, loadUser: false });
    const slow = passage.fault('jwks', 'slow');
    const answers = Promise.all(Array.from({ length: 50 }, () => client.auth.authenticate(headers)));
    await slow.reached;
    expect(passage.requests.jwks).toBe(1);
    slow.end();
    expect(await answers).toHaveLength(50);
    expect(passage.requests.jwks).toBe(1);
  });

  it('stops waiting when the request is aborted', async () => {
    await using passage = await startPassage();
    const client = new Passage(passage.options);
    using slow = passage.fault('api', 'slow');
    const gone = new AbortController();
    const answer = client.user.get('some-user', { signal: gone.signal });
    await slow.reached;
    gone.abort(new Error('gone'));
    await expect(answer).rejects.toThrow('gone');
    await expect(passage.options.fetch(apiUrl(passage), { signal: gone.signal })).rejects.toThrow('gone');
  });

  it('replaces a fault by the next one of the same target', async () => {
    await using passage = await startPassage();
    const client = new Passage(passage.options);
    const slow = passage.fault('api', 'slow');
    const answer = client.app();
    await slow.reached;
    passage.fault('api', 'unreachable');
    await expect(answer).resolves.toHaveProperty('id', passage.options.appId);
    await expect(client.app()).rejects.toMatchObject({ status: 503 });
  });

  it('reaches other processes too', async () => {
    await using passage = await startPassage({ port: 0 });
    const get = () =>
      fetch(apiUrl(passage), { headers: { authorization: `Bearer ${passage.options.apiKey}` } });
    expect((await get()).status).toBe(200);
    passage.fault('api', { status: 429, retryAfter: 7 });
    const limited = await get();
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7']);
    passage.fault('api', 'unreachable');
    await expect(get()).rejects.toThrow('fetch failed');
    const slow = passage.fault('api', 'slow');
    const answer = get();
    await slow.reached;
    slow.end();
    expect((await answer).status).toBe(200);
  });

  it('does not reach the kit itself', async () => {
    await using passage = await startPassage();
    passage.fault('api', 'unreachable');
    passage.fault('jwks', 'unreachable');
    await expect(passage.signIn(await passage.createUser())).resolves.toBeTruthy();
    expect(passage.requests).toEqual({ jwks: 0, api: 0 });
  });

  it('lets go of what waits when the server closes', async () => {
    const passage = await startPassage();
    const slow = passage.fault('jwks', 'slow');
    const client = new Passage(passage.options);
    const answer = client.auth.validateJwt(passage.signToken());
    await slow.reached;
    await Promise.all([passage.close(), answer.catch(() => {})]);
  });

  it('deactivates a user in mid-test', async () => {
    await using passage = await startPassage();
    const client = new Passage(passage.options);
    const { headers, userId } = await passage.signIn('ada@example.com');
    await client.auth.authenticate(headers);
    await passage.admin.user.deactivate(userId);
    passage.advance('31s');
    await expect(client.auth.authenticate(headers)).rejects.toHaveProperty(
      'code',
      'ERR_PASSAGE_USER_INACTIVE',
    );
    await passage.admin.user.delete(userId);
    passage.advance('31s');
    await expect(client.auth.authenticate(headers)).rejects.toHaveProperty('reason', 'user');
  });
});

describe('rotateKeys', () => {
  it('publishes the new key ten minutes before it signs', async () => {
    await using passage = await startPassage();
    const client = new Passage({ ...passage.options, loadUser: false });
    const old = await passage.signIn('ada@example.com');
    await client.auth.authenticate(old.headers);
    await passage.rotateKeys();
    passage.advance('11m');
    const young = await passage.signIn('ada@example.com');
    expect(young.token.split('.')[0]).not.toBe(old.token.split('.')[0]);
    await expect(client.auth.authenticate(young.headers)).resolves.toBeTruthy();
    await expect(client.auth.authenticate(old.headers)).resolves.toBeTruthy();
  });

  it('withdraws the old key when told to', async () => {
    await using passage = await startPassage();
    const client = new Passage({ ...passage.options, loadUser: false });
    const old = await passage.signIn('ada@example.com');
    await client.auth.authenticate(old.headers);
    await passage.rotateKeys({ immediately: true });
    passage.advance('11m');
    await expect(client.auth.authenticate(old.headers)).rejects.toHaveProperty('reason', 'key');
    const young = await passage.signIn('ada@example.com');
    await expect(client.auth.authenticate(young.headers)).resolves.toBeTruthy();
  });
});

describe('options from JavaScript, which has no compiler', () => {
  it.each([
    [{ prot: 0 }, '"prot" is not an option: did you mean "port"?'],
    [{ port: '80' }, '"port" option must be a port number'],
    [{ port: Number.NaN }, '"port" option must be a port number'],
    [{ port: null }, '"port" option must not be null'],
    [{ server: { rateLimit: false } }, '"rateLimit" is not an option: did you mean "rateLimits"?'],
    [{ server: { database: 'x' } }, '"database" is not an option'],
    [null, 'options must be an object'],
  ])('start no server: %j', async (options, message) => {
    await expect(startPassage(options as never)).rejects.toThrow(TypeError);
    await expect(startPassage(options as never)).rejects.toThrow(message);
  });

  it.each([
    [{ backedup: true }, '"backedup" is not an option: did you mean "backedUp"?'],
    [{ userVerification: 'false' }, '"userVerification" option must be true or false'],
    [{ origin: null }, '"origin" option must not be null'],
  ])('make no authenticator: %j', async (options, message) => {
    await using passage = await startPassage();
    expect(() => passage.authenticator(options as never)).toThrow(message);
  });
});

function apiUrl({ options }: { options: { baseUrl: string; appId: string } }): string {
  return `${options.baseUrl}/api/v1/apps/${options.appId}`;
}
