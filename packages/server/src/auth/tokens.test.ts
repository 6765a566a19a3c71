import { createPrivateKey } from 'node:crypto';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose';
import { expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { baseUrl, origin, signingKey, TestServer } from '../../test/server.ts';

const ada = 'ada@example.com';

describeDatabases('Refresh tokens', (make) => {
  const refresh = (server: TestServer, refresh_token: string) =>
    server.auth('POST', '/tokens', { refresh_token });

  it('is exchanged for new tokens', async () => {
    await using server = await TestServer.start(make);
    const { refreshToken } = await server.signIn(ada);
    expect(Buffer.from(refreshToken, 'base64url')).toHaveLength(32);
    const answer = await refresh(server, refreshToken);
    expect(answer.status).toBe(201);
    const { auth_result } = answer.body;
    expect(auth_result.refresh_token).not.toBe(refreshToken);
    expect(auth_result.refresh_token_expiration).toBe(Math.floor(server.now / 1000) + 432_000);
    expect(
      (await server.auth('GET', '/currentuser', undefined, { token: auth_result.auth_token })).status,
    ).toBe(200);
  });

  it('ends the session when it is used again', async () => {
    await using server = await TestServer.start(make);
    const { refreshToken } = await server.signIn(ada);
    const second = (await refresh(server, refreshToken)).body.auth_result.refresh_token;
    const third = (await refresh(server, second)).body.auth_result.refresh_token;
    expect(await refresh(server, refreshToken)).toMatchObject({
      status: 401,
      body: { code: 'invalid_refresh_token' },
    });
    expect((await refresh(server, third)).status).toBe(401);
  });

  it('gives one successor to 20 parallel uses', async () => {
    await using server = await TestServer.start(make);
    const { refreshToken } = await server.signIn(ada);
    const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(server, refreshToken)));
    const successors = new Set(answers.map(({ body }) => body.auth_result?.refresh_token));
    expect(successors.size).toBe(1);
    const [successor = ''] = successors;
    expect((await refresh(server, successor)).status).toBe(201);
    // Now that the successor was used, nobody gets it again.
    expect((await refresh(server, refreshToken)).status).toBe(401);
  });

  it('expires when it is not used, and for good after its whole life', async () => {
    await using server = await TestServer.start(make);
    const idle = await server.signIn(ada);
    const used = await server.signIn(ada);
    let token = used.refreshToken;
    for (let day = 4; day < 30; day += 4) {
      server.advance(4 * 86_400);
      const answer = await refresh(server, token);
      expect(answer.status).toBe(201);
      token = answer.body.auth_result.refresh_token;
    }
    expect((await refresh(server, idle.refreshToken)).status).toBe(401);
    server.advance(2 * 86_400);
    expect((await refresh(server, token)).status).toBe(401);
  });

  it('ends at logout, with all that came of it', async () => {
    await using server = await TestServer.start(make);
    const { refreshToken } = await server.signIn(ada);
    const other = await server.signIn(ada);
    const next = (await refresh(server, refreshToken)).body.auth_result.refresh_token;
    const revoked = await server.auth('DELETE', `/tokens?refresh_token=${next}`);
    expect(revoked).toMatchObject({ status: 200, text: '' });
    expect((await refresh(server, next)).status).toBe(401);
    expect((await refresh(server, other.refreshToken)).status).toBe(201);
  });

  it('ends when the back end says so', async () => {
    await using server = await TestServer.start(make);
    const { refreshToken, id } = await server.signIn(ada);
    const bob = await server.signIn('bob@example.com');
    expect(await server.manage('DELETE', `/users/${id}/tokens`)).toMatchObject({ status: 200, text: '' });
    expect((await refresh(server, refreshToken)).status).toBe(401);
    expect((await refresh(server, bob.refreshToken)).status).toBe(201);
  });

  it('ends with the user', async () => {
    await using server = await TestServer.start(make);
    const [ada, bob] = [await server.signIn('ada@example.com'), await server.signIn('bob@example.com')];
    await server.manage('PATCH', `/users/${ada.id}/deactivate`);
    await server.manage('DELETE', `/users/${bob.id}`);
    expect((await refresh(server, ada.refreshToken)).status).toBe(401);
    expect((await refresh(server, bob.refreshToken)).status).toBe(401);
    await server.manage('PATCH', `/users/${ada.id}/activate`);
    expect((await refresh(server, ada.refreshToken)).status).toBe(401);
  });

  it('belongs to its app', async () => {
    await using server = await TestServer.start(make);
    const { refreshToken } = await server.signIn(ada);
    const app = await server.server.apps.create({});
    const other = await server.call('POST', `/auth/v1/apps/${app.appId}/tokens`, {
      refresh_token: refreshToken,
    });
    expect(other.status).toBe(401);
    await server.call('DELETE', `/auth/v1/apps/${app.appId}/tokens?refresh_token=${refreshToken}`);
    expect((await refresh(server, refreshToken)).status).toBe(201);
  });

  it('is absent where refresh is off', async () => {
    await using server = await TestServer.start(make, { app: { refreshEnabled: false } });
    const link = await server.createLink(ada);
    const { body } = await server.auth('PATCH', '/magic-link/activate', { magic_link: link.secret });
    expect(Object.keys(body.auth_result).sort()).toEqual(['auth_token', 'redirect_url']);
  });
});

describeDatabases('Access tokens', (make) => {
  it('has the header and claims of the protocol', async () => {
    await using server = await TestServer.start(make);
    const { token, id } = await server.signIn(ada);
    const { body } = await server.auth('GET', '/.well-known/jwks.json');
    expect(Object.keys(body.keys[0]).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
    const { payload } = await jwtVerify(token, createLocalJWKSet(body), {
      currentDate: new Date(server.now),
    });
    const now = Math.floor(server.now / 1000);
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'RS256', typ: 'JWT', kid: body.keys[0].kid });
    expect(payload).toEqual({
      iss: `${baseUrl}/auth/v1/apps/${server.appId}`,
      sub: id,
      aud: [server.appId, origin],
      iat: now,
      nbf: now - 5,
      exp: now + 900,
      auth_time: now,
      sid: expect.stringMatching(/^\w{24}$/),
      jti: expect.stringMatching(/^\w{24}$/),
    });
  });

  it('lives as long as the setting says', async () => {
    await using server = await TestServer.start(make, { app: { sessionTimeoutLength: 5 } });
    const { token } = await server.signIn(ada);
    server.advance(299);
    expect((await server.auth('GET', '/currentuser', undefined, { token })).status).toBe(200);
    server.advance(2);
    expect(await server.auth('GET', '/currentuser', undefined, { token })).toMatchObject({
      status: 401,
      body: { code: 'invalid_access_token' },
    });
  });

  it.each([
    ['another issuer', { iss: 'https://evil.test' }, {}],
    ['another audience', { aud: ['other'] }, {}],
    ['no subject', { sub: undefined }, {}],
    ['no expiry', { exp: undefined }, {}],
    ['no id', { jti: undefined }, {}],
    ['a time to come', { nbf: Number.MAX_SAFE_INTEGER }, {}],
    ['another type', {}, { typ: 'at+jwt' }],
    ['an unknown key', {}, { kid: 'unknown' }],
    ['the algorithm PS256', {}, { alg: 'PS256' }],
  ])('refuses a token with %s', async (_, claims, header) => {
    await using server = await TestServer.start(make);
    const { token } = await server.signIn(ada);
    const [head = '', payload = ''] = token.split('.');
    const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
    const key = createPrivateKey({ key: { ...signingKey }, format: 'jwk' });
    const sign = (claims: object, header: object) =>
      new SignJWT({ ...decode(payload), ...claims })
        .setProtectedHeader({ ...decode(head), ...header })
        .sign(key);
    const answer = async (token: string) =>
      (await server.auth('GET', '/currentuser', undefined, { token })).status;
    expect(await answer(await sign(claims, header))).toBe(401);
    expect(await answer(await sign({}, {}))).toBe(200);
  });

  it('takes neither refresh token, API key nor cookie for an access token', async () => {
    await using server = await TestServer.start(make);
    const { token, refreshToken } = await server.signIn(ada);
    for (const wrong of [refreshToken, server.apiKey]) {
      expect((await server.auth('GET', '/currentuser', undefined, { token: wrong })).status).toBe(401);
    }
    const headers = { Cookie: `psg_auth_token=${token}` };
    expect((await server.auth('GET', '/currentuser', undefined, { headers })).status).toBe(401);
    expect((await server.manage('GET', '/users', undefined, { token })).status).toBe(401);
  });
});

describeDatabases('Signing keys', (make) => {
  it('rotates without refusing a token', async () => {
    await using server = await TestServer.start(make);
    const before = await server.signIn(ada);
    const kids = async () =>
      (await server.auth('GET', '/.well-known/jwks.json')).body.keys.map(({ kid }: { kid: string }) => kid);
    const [old] = await kids();
    await server.server.apps.rotateSigningKey(server.appId);
    const [, next] = await kids();
    expect(decodeProtectedHeader((await server.signIn(ada)).token).kid).toBe(old);
    server.advance(600);
    const after = await server.signIn(ada);
    expect(decodeProtectedHeader(after.token).kid).toBe(next);
    for (const { token } of [before, after]) {
      expect((await server.auth('GET', '/currentuser', undefined, { token })).status).toBe(200);
    }
    server.advance(900 + 601);
    expect(await kids()).toEqual([next]);
  });

  it('drops a key at once after a leak', async () => {
    await using server = await TestServer.start(make);
    const { token } = await server.signIn(ada);
    await server.server.apps.rotateSigningKey(server.appId, { immediately: true });
    expect((await server.auth('GET', '/currentuser', undefined, { token })).status).toBe(401);
    const fresh = await server.signIn(ada);
    expect((await server.auth('GET', '/currentuser', undefined, { token: fresh.token })).status).toBe(200);
    expect(server.log.join()).toContain('"immediately":true,"event":"signing_key.rotated"');
  });

  it('publishes keys for five minutes, with a hash to ask again by', async () => {
    await using server = await TestServer.start(make);
    const first = await server.auth('GET', '/.well-known/jwks.json');
    expect(first.headers.get('Cache-Control')).toBe('public, max-age=300');
    const headers = { 'If-None-Match': first.headers.get('ETag') ?? '' };
    expect((await server.auth('GET', '/.well-known/jwks.json', undefined, { headers })).status).toBe(304);
    expect(JSON.stringify(first.body)).not.toMatch(/"(d|p|q|dp|dq|qi)"/);
  });

  it('publishes keys while the database is down', async () => {
    await using server = await TestServer.start(make);
    await server.auth('GET', '/.well-known/jwks.json');
    await server.server.close();
    expect((await server.auth('GET', '/.well-known/jwks.json')).status).toBe(200);
    expect((await server.auth('GET', '/users?identifier=a@example.com')).status).toBeGreaterThanOrEqual(500);
    expect((await server.call('GET', '/livez')).status).toBe(200);
    expect((await server.call('GET', '/readyz')).status).toBe(503);
  });
});
