import { expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';

const ada = 'ada@example.com';
const home = '198.51.100.7';

describeDatabases('Attacks on limits', (make) => {
  const start = (options = {}) => TestServer.start(make, { rateLimits: {}, ...options });
  const ask = (server: TestServer, identifier: string, ip: string, action = 'login/otp') =>
    server.auth('POST', `/${action}`, { identifier }, { ip });
  const tryCode = (server: TestServer, otp_id: string, otp: string, ip?: string) =>
    server.auth('POST', '/otp/activate', { otp_id, otp }, ip === undefined ? {} : { ip });
  /** Uses up what may be sent to Ada, from many networks. */
  const flood = async (server: TestServer) => {
    for (let stranger = 1; stranger < 8; stranger++) await ask(server, ada, `203.0.113.${stranger}`);
  };

  it.each(['passage', 'strict'] as const)(
    'lets unknown addresses use up nothing of an app (%s)',
    async (enumeration) => {
      const rateLimits = { messagesPerApp: { count: 3, window: 3_600 } };
      await using server = await start({ rateLimits, enumeration });
      await server.signIn(ada);
      const unknown = enumeration === 'strict' ? [201, 200] : [404, 404];
      for (let stranger = 0; stranger < 10; stranger++) {
        const ip = `2001:db8:${stranger}::1`;
        const name = `nobody${stranger}@example.com`;
        expect((await ask(server, name, ip)).status).toBe(unknown[0]);
        expect((await ask(server, name, ip, 'login/magic-link')).status).toBe(unknown[1]);
      }
      for (let message = 0; message < 3; message++) expect((await ask(server, ada, home)).status).toBe(201);
      expect(server.messages).toHaveLength(3);
      // What is used up is used up for everybody: the answer does not tell who is known.
      expect((await ask(server, ada, home)).status).toBe(429);
      expect((await ask(server, 'nobody@example.com', home)).status).toBe(429);
    },
  );

  // 5,000 of them take minutes: `STRANGERS=5000` runs as many.
  it.each(['passage', 'strict'] as const)(
    'sends its code to a user while many networks ask for codes of unknown addresses (%s)',
    async (enumeration) => {
      await using server = await start({ enumeration });
      await server.signIn(ada);
      const strangers = Number(process.env.STRANGERS ?? 100);
      const statuses = new Set<number>();
      for (let first = 0; first < strangers; first += 25) {
        const some = Array.from({ length: 25 }, (_, index) => first + index);
        const answers = await Promise.all(
          some.map((n) => ask(server, `nobody${n}@example.com`, `2001:db8:${n.toString(16)}::1`)),
        );
        for (const { status } of answers) statuses.add(status);
      }
      expect([...statuses]).toEqual([enumeration === 'strict' ? 201 : 404]);
      expect((await ask(server, ada, home)).status).toBe(201);
      expect(server.messages).toHaveLength(1);
      expect(server.log.filter((line) => !line.startsWith('Event'))).toEqual([]);
    },
    600_000,
  );

  it('counts four times as much for a /48 as for one of its networks', async () => {
    const rateLimits = { messagesPerIp: { count: 2, window: 3_600 } };
    await using server = await start({ rateLimits });
    const statuses: number[] = [];
    for (let count = 0; count < 10; count++) {
      const { status } = await ask(server, `u${count}@example.com`, `2001:db8:7:${count}::1`, 'register/otp');
      statuses.push(status);
    }
    expect(statuses).toEqual([...Array(8).fill(201), 429, 429]);
    expect((await ask(server, 'v@example.com', '2001:db8:8::1', 'register/otp')).status).toBe(201);
  });

  it('ends a limit within its window although the clock was a year ahead', async () => {
    await using server = await start();
    await server.signIn(ada);
    const year = 365 * 86_400;
    server.advance(year);
    for (let message = 0; message < 5; message++) expect((await ask(server, ada, home)).status).toBe(201);
    expect((await ask(server, ada, '192.0.2.1')).status).toBe(429);
    server.advance(-year);
    expect((await ask(server, ada, '192.0.2.1')).status).toBe(201);
    for (let message = 1; message < 5; message++) await ask(server, ada, '192.0.2.1');
    const refused = await ask(server, ada, '192.0.2.1');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('Retry-After'))).toBeLessThanOrEqual(3_600);
  });

  it('keeps a check over a clock that was ahead no longer than its window', async () => {
    await using server = await start({ rateLimits: { failuresPerIp: { count: 2, window: 600 } } });
    const refresh = () => server.auth('POST', '/tokens', { refresh_token: 'x' }, { ip: home });
    server.advance(86_400);
    for (const status of [401, 401, 429]) expect((await refresh()).status).toBe(status);
    server.advance(-86_400);
    for (const status of [401, 401, 429]) expect((await refresh()).status).toBe(status);
  });

  it.each([
    ['a month', 30 * 86_400, [400, 404, 404, 401, 400]],
    ['a minute', 60, [200, 200, 200, 200, 201]],
  ])(
    'takes what was sent by a clock that was %s ahead only if that is little',
    async (_, ahead, statuses) => {
      await using server = await TestServer.start(make);
      const device = server.authenticator();
      await device.register('hopper@example.com');
      await server.signIn('ada@example.com');
      server.advance(ahead);
      const { otpId, code } = await server.sendCode('ada@example.com');
      const link = await server.createLink('bob@example.com');
      await server.auth('POST', '/register/magic-link', { identifier: 'eve@example.com' });
      const url = new URL(server.messages.at(-1)?.url ?? '');
      const login = (await server.auth('POST', '/login/webauthn/start', {})).body.handshake;
      const identifier = 'grace@example.com';
      const signUp = (await server.auth('POST', '/register/webauthn/start', { identifier })).body;
      server.advance(-ahead);
      const publicKey = signUp.handshake.challenge.publicKey;
      const answers = [
        await server.auth('POST', '/otp/activate', { otp_id: otpId, otp: code }),
        await server.auth('PATCH', '/magic-link/activate', { magic_link: link.secret }),
        await server.auth('PATCH', '/magic-link/activate', {
          magic_link: url.searchParams.get('psg_magic_link'),
        }),
        await server.auth('POST', '/login/webauthn/finish', {
          handshake_id: login.id,
          handshake_response: await device.get(login.challenge.publicKey),
        }),
        await server.auth('POST', '/register/webauthn/finish', {
          user_id: signUp.user.id,
          handshake_id: signUp.handshake.id,
          handshake_response: await server.authenticator().create(publicKey),
        }),
      ];
      expect(answers.map(({ status }) => status)).toEqual(statuses);
      // The next code is good.
      const next = await server.sendCode('ada@example.com');
      const activate = { otp_id: next.otpId, otp: next.code };
      expect((await server.auth('POST', '/otp/activate', activate)).status).toBe(200);
    },
  );

  it('finds one good code among six that are asked for at once', async () => {
    await using server = await start({ rateLimits: false });
    await server.signIn(ada);
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(server, ada, home)));
    expect(server.messages).toHaveLength(6);
    const last: number[] = [];
    for (const { body } of answers) {
      for (let guess = 0; guess < 3; guess++) await tryCode(server, body.otp_id, '000000');
      // A code that is good has used up its tries; the others are unknown.
      last.push((await tryCode(server, body.otp_id, '000000')).status);
    }
    expect(last.sort()).toEqual([400, 400, 400, 400, 400, 401]);
    const { otpId, code } = await server.sendCode(ada);
    expect((await tryCode(server, otpId, code)).status).toBe(200);
  });

  it.each([
    ['203.0.113.7:51234'],
    ['"203.0.113.7:443"'],
    ['::ffff:203.0.113.7'],
    ['[::ffff:cb00:7107]:8080'],
    ['unknown, 203.0.113.7'],
    ['_hidden, 203.0.113.7:1, 10.0.0.9:8080'],
  ])('reads %s as the client 203.0.113.7', async (forwarded) => {
    const rateLimits = { messagesPerIp: { count: 1, window: 60 } };
    await using server = await start({ rateLimits, trustedProxies: ['10.0.0.0/8'] });
    let count = 0;
    const send = (value: string) =>
      server.auth(
        'POST',
        '/register/otp',
        { identifier: `u${count++}@example.com` },
        { ip: '::ffff:10.0.0.1', headers: { 'X-Forwarded-For': value } },
      );
    expect((await send('203.0.113.7')).status).toBe(201);
    expect((await send(forwarded)).status).toBe(429);
    expect((await send('203.0.113.8:51234')).status).toBe(201);
  });

  it('reads IPv6 addresses in brackets, and takes the last good hop where there is a word', async () => {
    const rateLimits = { messagesPerIp: { count: 1, window: 60 } };
    await using server = await start({ rateLimits, trustedProxies: ['10.0.0.0/8'] });
    let count = 0;
    const send = async (ip: string, value: string) => {
      const headers = { 'X-Forwarded-For': value };
      const identifier = `u${count++}@example.com`;
      return (await server.auth('POST', '/register/otp', { identifier }, { ip, headers })).status;
    };
    expect(await send('10.0.0.1', '[2001:db8::1]:443')).toBe(201);
    expect(await send('10.0.0.1', '2001:0DB8:0:0:0::2')).toBe(429);
    expect(await send('10.0.0.1', '[2001:db8:0:1::1]')).toBe(201);
    for (const word of ['unknown', '_gazonk', '203.0.113.7:port', '999.1.1.1', '[203.0.113.7', 'a:1'])
      expect(await send('10.0.0.2', word)).toBe(word === 'unknown' ? 201 : 429);
    // The hop before the word is the proxy that wrote it.
    expect(await send('10.0.0.2', 'unknown, 10.0.0.3')).toBe(201);
    expect(await send('10.0.0.4', 'else, 10.0.0.3:80')).toBe(429);
  });

  it('keeps a passkey login and one code for the owner of an address that is flooded', async () => {
    await using server = await start();
    const { authenticator } = await server.register(ada);
    const { body: login } = await server.auth(
      'POST',
      '/login/webauthn/start',
      { identifier: ada },
      { ip: home },
    );
    const finish = async (handshake: typeof login.handshake) => {
      const handshake_response = await authenticator.get(handshake.challenge.publicKey);
      const answer = { handshake_id: handshake.id, handshake_response };
      return (await server.auth('POST', '/login/webauthn/finish', answer, { ip: home })).status;
    };
    expect(await finish(login.handshake)).toBe(200);
    await flood(server);
    const again = await server.auth('POST', '/login/webauthn/start', { identifier: ada }, { ip: home });
    expect(await finish(again.body.handshake)).toBe(200);

    expect((await ask(server, ada, '203.0.113.99')).status).toBe(429);
    const spare = await ask(server, ada, home);
    expect(spare.status).toBe(201);
    expect((await ask(server, ada, home)).status).toBe(429);
    const code = server.messages.at(-1)?.code ?? '';
    expect((await tryCode(server, spare.body.otp_id, code, home)).status).toBe(200);
  });

  it('lets the owner try the one code although strangers used up the tries', async () => {
    const rateLimits = { wrongCodesPerAddress: { count: 3, window: 3_600 } };
    await using server = await start({ rateLimits });
    await server.sendCode(ada, 'register').then(({ otpId, code }) => tryCode(server, otpId, code, home));
    await server.sendCode(ada).then(async ({ otpId }) => {
      for (let guess = 0; guess < 3; guess++) await tryCode(server, otpId, '000000', '203.0.113.5');
    });
    await flood(server);
    const { body } = await ask(server, ada, home);
    const code = server.messages.at(-1)?.code ?? '';
    expect((await tryCode(server, body.otp_id, code, '203.0.113.5')).status).toBe(429);
    expect((await tryCode(server, body.otp_id, code, home)).status).toBe(200);
  });

  it('answers once more for every address where enumeration is strict, and sends to the owner alone', async () => {
    await using server = await start({ enumeration: 'strict' });
    await server.sendCode(ada, 'register').then(({ otpId, code }) => tryCode(server, otpId, code, home));
    const statuses: Record<string, number[]> = {};
    for (const name of [ada, 'nobody@example.com']) {
      for (let count = 0; count < 5; count++) await ask(server, name, `203.0.113.${count}`);
      const before = server.messages.length;
      statuses[name] = [];
      for (const ip of ['192.0.2.9', '192.0.2.9']) statuses[name].push((await ask(server, name, ip)).status);
      expect(server.messages).toHaveLength(before);
    }
    expect(statuses[ada]).toEqual([201, 429]);
    expect(statuses['nobody@example.com']).toEqual(statuses[ada]);
    const sent = server.messages.length;
    const { body } = await ask(server, ada, home);
    expect(server.messages).toHaveLength(sent + 1);
    expect((await tryCode(server, body.otp_id, server.messages.at(-1)?.code ?? '', home)).status).toBe(200);
  });

  it('leaves the code of the owner good while strangers get the one more answer', async () => {
    await using server = await start({ enumeration: 'strict' });
    await server.sendCode(ada, 'register').then(({ otpId, code }) => tryCode(server, otpId, code, home));
    await flood(server);
    const { body } = await ask(server, ada, home);
    const code = server.messages.at(-1)?.code ?? '';
    expect((await ask(server, ada, '192.0.2.10')).status).toBe(201);
    expect((await tryCode(server, body.otp_id, code, home)).status).toBe(200);
  });

  it('counts wrong codes for the app as well, but none of decoys', async () => {
    const rateLimits = { wrongCodesPerApp: { count: 4, window: 3_600 } };
    await using server = await start({ rateLimits, enumeration: 'strict' });
    for (const name of [ada, 'bob@example.com']) await server.signIn(name);
    for (const stranger of ['x', 'y', 'z']) {
      const { body } = await ask(server, `${stranger}@example.com`, home);
      for (let guess = 0; guess < 3; guess++)
        expect((await tryCode(server, body.otp_id, '000000')).status).toBe(400);
    }
    const first = await server.sendCode(ada);
    const second = await server.sendCode('bob@example.com');
    for (let guess = 0; guess < 3; guess++)
      expect((await tryCode(server, first.otpId, '000000')).status).toBe(400);
    expect((await tryCode(server, second.otpId, '000000')).status).toBe(400);
    expect((await tryCode(server, second.otpId, second.code)).status).toBe(429);
    server.advance(299);
    expect((await tryCode(server, second.otpId, second.code)).status).toBe(429);
  });

  it('limits wrong API keys by IP address, and never the right one', async () => {
    await using server = await start();
    const users = (token: string, ip = home) => server.manage('GET', '/users', undefined, { token, ip });
    for (let guess = 0; guess < 60; guess++)
      expect((await users(`${'a'.repeat(10)}.${'b'.repeat(64)}`)).status).toBe(401);
    expect((await users('nonsense')).status).toBe(429);
    expect((await users('nonsense', '192.0.2.1')).status).toBe(401);
    expect((await users(server.apiKey)).status).toBe(200);
    server.advance(601);
    expect((await users('nonsense')).status).toBe(401);
  });

  it('warns of attacks with event, app, user and IP, and of no secret', async () => {
    const rateLimits = { failuresPerIp: { count: 3, window: 600 } };
    await using server = await start({ rateLimits });
    const { id } = await server.signIn(ada);
    const { otpId, code } = await server.sendCode(ada);
    for (let guess = 0; guess < 3; guess++) await tryCode(server, otpId, '000000', home);
    await tryCode(server, otpId, code, home);
    const wrongKey = `${'q'.repeat(10)}.${'r'.repeat(64)}`;
    await server.manage('GET', '/users', undefined, { token: wrongKey, ip: home });
    const warnings = server.log.filter((line) => !line.startsWith('Event'));
    const fields = warnings.map((line) => JSON.parse(line.slice(line.indexOf('{'))));
    const app = server.appId;
    const request = expect.any(String);
    expect(fields).toEqual([
      { app, event: 'limit.reached', ip: home, limit: 'failuresPerIp', request },
      { app, user: id, event: 'code.exhausted', ip: home, request },
      { app, event: 'api_key.wrong', ip: home, request },
    ]);
    for (const secret of [otpId, code, wrongKey, ada]) expect(warnings.join()).not.toContain(secret);
    const { text } = await server.call('GET', '/metrics');
    expect(text).toContain('passage_limit_refusals_total{limit="failuresPerIp"} 1');
    for (const type of ['limit.reached', 'code.exhausted', 'api_key.wrong'])
      expect(text).toContain(`passage_events_total{type="${type}"} 1`);
  });

  it('warns of nothing in an honest login', async () => {
    await using server = await start();
    await server.signIn(ada);
    const { otpId, code } = await server.sendCode(ada);
    expect((await tryCode(server, otpId, '000000', home)).status).toBe(400);
    expect((await tryCode(server, otpId, code, home)).status).toBe(200);
    expect((await server.manage('GET', '/users', undefined, { ip: home })).status).toBe(200);
    expect(server.log.filter((line) => !line.startsWith('Event'))).toEqual([]);
  });
});
