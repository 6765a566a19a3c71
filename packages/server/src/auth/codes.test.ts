import { expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';
import { randomCode } from '../storage/secrets.ts';

const ada = 'ada@example.com';
const wrongOf = (code: string) => (code === '000000' ? '111111' : '000000');

describeDatabases('One-time passcodes', (make) => {
  const activate = (server: TestServer, otp_id: string, otp: string) =>
    server.auth('POST', '/otp/activate', { otp_id, otp });

  it('reads a code as people type it, and uses no try for what is none', async () => {
    await using server = await TestServer.start(make, { rateLimits: {} });
    await server.signIn(ada);
    const typed = [
      (code: string) => ` ${code.slice(0, 3)} ${code.slice(3)} `,
      (code: string) => `${code.slice(0, 3)}-${code.slice(3)}`,
      (code: string) => code.replace(/\d/g, (digit) => String.fromCodePoint(0x660 + Number(digit))),
    ];
    for (const type of typed) {
      const { otpId, code } = await server.sendCode(ada);
      for (const wrong of ['-', '12345', '1234567', 'abcdef', ada]) {
        const refused = await activate(server, otpId, wrong);
        expect(refused).toMatchObject({ status: 400, body: { error: 'otp: must be 6 digits.' } });
      }
      expect((await activate(server, otpId, type(code))).status).toBe(200);
    }
  });

  it('registers, then logs in', async () => {
    await using server = await TestServer.start(make);
    for (const [action, status] of [
      ['register', 201],
      ['login', 201],
    ] as const) {
      const sent = await server.auth('POST', `/${action}/otp`, { identifier: ada, language: 'de' });
      expect(sent).toMatchObject({ status, body: { otp_id: expect.stringMatching(/^\w{24}$/) } });
      const message = server.messages.at(-1);
      expect(message).toMatchObject({
        to: ada,
        kind: 'otp',
        language: 'de',
        code: expect.stringMatching(/^\d{6}$/),
      });
      const done = await activate(server, sent.body.otp_id, message?.code ?? '');
      expect(done).toMatchObject({ status: 200, body: { auth_result: { redirect_url: '/' } } });
    }
    const { body } = await server.manage('GET', '/users');
    expect(body.users).toMatchObject([
      { email: ada, email_verified: true, login_count: 2, status: 'active' },
    ]);
  });

  it('sends to phones', async () => {
    await using server = await TestServer.start(make);
    const { otpId, code } = await server.sendCode('+12025550123', 'register');
    expect(server.messages.at(-1)).toMatchObject({ to: '+12025550123', channel: 'phone' });
    expect((await activate(server, otpId, code)).status).toBe(200);
  });

  it('refuses registering again, and logging in to no account', async () => {
    await using server = await TestServer.start(make);
    expect(await server.auth('POST', '/login/otp', { identifier: ada })).toMatchObject({
      status: 404,
      body: { code: 'user_not_found' },
    });
    await server.signIn(ada);
    expect(await server.auth('POST', '/register/otp', { identifier: ada })).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', error: 'user: already exists.' },
    });
  });

  it('is good for three tries', async () => {
    await using server = await TestServer.start(make);
    await server.signIn(ada);
    const { otpId, code } = await server.sendCode(ada);
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(await activate(server, otpId, wrongOf(code))).toMatchObject({
        status: 400,
        body: { code: 'invalid_request' },
      });
    }
    const fourth = await activate(server, otpId, code);
    expect(fourth).toMatchObject({ status: 401, body: { code: 'exceeded_attempts' } });
    expect(fourth.body.error).toContain('exceeded number of attempts');
    const fresh = await server.sendCode(ada);
    await activate(server, fresh.otpId, wrongOf(fresh.code));
    await activate(server, fresh.otpId, wrongOf(fresh.code));
    expect((await activate(server, fresh.otpId, fresh.code)).status).toBe(200);
  });

  it('counts 50 parallel guesses as 50', async () => {
    await using server = await TestServer.start(make);
    await server.signIn(ada);
    const { otpId, code } = await server.sendCode(ada);
    const guesses = await Promise.all(
      Array.from({ length: 50 }, () => activate(server, otpId, wrongOf(code))),
    );
    expect(guesses.filter(({ status }) => status === 400)).toHaveLength(3);
    expect(guesses.filter(({ status }) => status === 401)).toHaveLength(47);
    expect((await activate(server, otpId, code)).status).toBe(401);
  });

  it('logs in once for 50 parallel right codes', async () => {
    await using server = await TestServer.start(make);
    await server.signIn(ada);
    const { otpId, code } = await server.sendCode(ada);
    const answers = await Promise.all(Array.from({ length: 50 }, () => activate(server, otpId, code)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect((await activate(server, otpId, code)).status).toBe(400);
  });

  it('belongs to its flow, its app, and ends with the next code', async () => {
    await using server = await TestServer.start(make);
    await server.signIn(ada);
    await server.signIn('bob@example.com');
    const [own, other] = [await server.sendCode(ada), await server.sendCode('bob@example.com')];
    if (own.code !== other.code) expect((await activate(server, own.otpId, other.code)).status).toBe(400);
    const app = await server.server.apps.create({});
    const body = { otp_id: own.otpId, otp: own.code };
    expect((await server.call('POST', `/auth/v1/apps/${app.appId}/otp/activate`, body)).status).toBe(400);
    const next = await server.sendCode(ada);
    expect((await activate(server, own.otpId, own.code)).status).toBe(400);
    expect((await activate(server, next.otpId, next.code)).status).toBe(200);
  });

  it('expires', async () => {
    await using server = await TestServer.start(make);
    await server.signIn(ada);
    const late = await server.sendCode(ada);
    server.advance(301);
    expect((await activate(server, late.otpId, late.code)).status).toBe(400);
    const inTime = await server.sendCode(ada);
    server.advance(299);
    expect((await activate(server, inTime.otpId, inTime.code)).status).toBe(200);
  });

  it('does not let in a user deactivated in between', async () => {
    await using server = await TestServer.start(make);
    const { id } = await server.signIn(ada);
    const { otpId, code } = await server.sendCode(ada);
    await server.manage('PATCH', `/users/${id}/deactivate`);
    expect(await activate(server, otpId, code)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    });
  });

  it('is refused where codes are off', async () => {
    await using server = await TestServer.start(make, { app: { authMethods: { otp: { enabled: false } } } });
    expect(await server.auth('POST', '/register/otp', { identifier: ada })).toMatchObject({
      status: 403,
      body: { code: 'operation_not_allowed' },
    });
  });

  it('says when a message cannot be delivered', async () => {
    const delivery = { send: () => Promise.reject(new Error('no')) };
    await using server = await TestServer.start(make, { delivery });
    expect(await server.auth('POST', '/register/otp', { identifier: ada })).toMatchObject({ status: 503 });
  });
});

it('draws codes evenly from the whole range', () => {
  const counts = new Uint32Array(100);
  const draws = 1_000_000;
  let [lowest, highest] = ['999999', '000000'];
  for (let draw = 0; draw < draws; draw++) {
    const code = randomCode();
    const bin = Math.floor(Number(code) / 10_000);
    counts[bin] = (counts[bin] ?? 0) + 1;
    if (code < lowest) lowest = code;
    if (code > highest) highest = code;
  }
  const expected = draws / counts.length;
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  // 99 degrees of freedom: above 180 once in a million runs.
  expect(chiSquare).toBeLessThan(180);
  expect(Number(lowest)).toBeLessThan(100);
  expect(Number(highest)).toBeGreaterThan(999_900);
});
