import { expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';

const ada = 'ada@example.com';

describeDatabases('Rate limits', (make) => {
  const start = (options = {}) => TestServer.start(make, { rateLimits: {}, ...options });

  it('sends five codes and links an hour to an address', async () => {
    await using server = await start();
    await server.signIn(ada);
    const send = (path = '/login/otp') => server.auth('POST', path, { identifier: ada });
    for (let message = 0; message < 5; message++) {
      expect((await send(message % 2 ? '/login/magic-link' : '/login/otp')).status).toBeLessThan(300);
    }
    const refused = await send();
    expect(refused).toMatchObject({ status: 429, body: { code: 'too_many_requests' } });
    expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThan(3_500);
    expect((await server.auth('POST', '/register/otp', { identifier: 'bob@example.com' })).status).toBe(201);
    server.advance(3_601);
    expect((await send()).status).toBe(201);
  });

  it('counts parallel requests, each of them', async () => {
    await using server = await start();
    await server.signIn(ada);
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => server.auth('POST', '/login/otp', { identifier: ada })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(5);
  });

  it('limits unknown addresses like known ones', async () => {
    await using server = await start({ enumeration: 'strict' });
    for (let message = 0; message < 5; message++) {
      expect((await server.auth('POST', '/login/otp', { identifier: ada })).status).toBe(201);
    }
    expect((await server.auth('POST', '/login/otp', { identifier: ada })).status).toBe(429);
  });

  it('limits an IP address, of IPv6 the network', async () => {
    await using server = await start();
    const send = (ip: string, to: string) =>
      server.auth('POST', '/register/otp', { identifier: `${to}@example.com` }, { ip });
    for (let message = 0; message < 30; message++) {
      expect((await send(`2001:db8::${message + 1}`, `a${message}`)).status).toBe(201);
    }
    expect((await send('2001:db8:0:0:ffff::1', 'b')).status).toBe(429);
    expect((await send('2001:db8:0:1::1', 'c')).status).toBe(201);
  });

  it('believes X-Forwarded-For of its proxies only', async () => {
    const rateLimits = { messagesPerIp: { count: 1, window: 60 } };
    await using server = await start({ rateLimits, trustedProxies: ['10.0.0.0/8'] });
    let count = 0;
    const send = (ip: string, forwarded: string) =>
      server.auth(
        'POST',
        '/register/otp',
        { identifier: `u${count++}@example.com` },
        { ip, headers: { 'X-Forwarded-For': forwarded } },
      );
    expect((await send('192.0.2.1', '198.51.100.1')).status).toBe(201);
    expect((await send('192.0.2.1', '198.51.100.2')).status).toBe(429);
    expect((await send('10.0.0.1', '198.51.100.1')).status).toBe(201);
    expect((await send('10.0.0.1', '198.51.100.2, 10.0.0.7')).status).toBe(201);
    expect((await send('10.0.0.1', '198.51.100.3, 198.51.100.2')).status).toBe(429);
  });

  it('stops guessing an address, code after code, but not its passkey', async () => {
    const limits = { wrongCodesPerAddress: { count: 4, window: 600 } };
    await using server = await start({ rateLimits: limits });
    const { authenticator } = await server.register(ada);
    for (const expected of [
      [400, 400, 400, 401],
      [400, 429],
    ]) {
      const { otpId } = await server.sendCode(ada);
      for (const status of expected) {
        expect((await server.auth('POST', '/otp/activate', { otp_id: otpId, otp: '000000' })).status).toBe(
          status,
        );
      }
    }
    const { body } = await server.auth('POST', '/login/webauthn/start', { identifier: ada });
    const handshake_response = await authenticator.get(body.handshake.challenge.publicKey);
    const login = { handshake_id: body.handshake.id, handshake_response };
    expect((await server.auth('POST', '/login/webauthn/finish', login)).status).toBe(200);
  });

  it('stops an address that tries links and refresh tokens', async () => {
    await using server = await start({ rateLimits: { failuresPerIp: { count: 2, window: 60 } } });
    const ip = '192.0.2.1';
    expect((await server.auth('PATCH', '/magic-link/activate', { magic_link: 'x' }, { ip })).status).toBe(
      404,
    );
    expect((await server.auth('POST', '/tokens', { refresh_token: 'x' }, { ip })).status).toBe(401);
    expect((await server.auth('POST', '/tokens', { refresh_token: 'x' }, { ip })).status).toBe(429);
    expect((await server.auth('POST', '/tokens', { refresh_token: 'x' }, { ip: '192.0.2.2' })).status).toBe(
      401,
    );
  });
});
