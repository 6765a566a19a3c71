import { expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { type Answer, TestServer } from '../../test/server.ts';

const [known, unknown, withoutPasskey] = ['ada@example.com', 'eve@example.com', 'bob@example.com'];

/** What an answer says, with the parts removed that differ each time. */
function shape({ status, text, headers }: Answer): unknown {
  const steady = text.replace(/"(id|otp_id|challenge|name|displayName|email)":"[^"]*"/g, '"$1":""');
  return { status, text: steady, headers: [...headers].map(([name]) => name) };
}

describeDatabases('Strict enumeration', (make) => {
  it.each<[string, string, string, object]>([
    ['GET', '/users', 'null for all', {}],
    ['POST', '/users', 'a pending user for all', {}],
    ['POST', '/login/webauthn/start', 'passkeys for all', {}],
    ['POST', '/register/webauthn/start', 'a registration for all', {}],
    ['POST', '/login/otp', 'a code for all', {}],
    ['POST', '/register/otp', 'a code for all', {}],
    ['POST', '/login/magic-link', 'a link for all', {}],
    ['POST', '/register/magic-link', 'a link for all', {}],
  ])('%s %s answers %s', async (method, path) => {
    await using server = await TestServer.start(make, { enumeration: 'strict' });
    await server.register(known);
    await server.signIn(withoutPasskey);
    const ask = async (identifier: string) =>
      method === 'GET'
        ? server.auth(method, `${path}?identifier=${identifier}`)
        : server.auth(method, path, { identifier });
    const [first, second, third] = [await ask(known), await ask(unknown), await ask(withoutPasskey)];
    expect(first.status).toBeLessThan(300);
    // Credential IDs differ, and have the same length.
    const alike = (answer: Answer) =>
      JSON.stringify(shape(answer)).replace(/\[\\"internal\\"(,\\"hybrid\\")?\]/g, '[]');
    expect(alike(second)).toBe(alike(first));
    expect(alike(third)).toBe(alike(first));
  });

  it('gives an unknown address the same passkeys each time', async () => {
    await using server = await TestServer.start(make, { enumeration: 'strict' });
    const ask = async (identifier: string) => {
      const { body } = await server.auth('POST', '/login/webauthn/start', { identifier });
      return body.handshake.challenge.publicKey.allowCredentials[0].id;
    };
    expect(await ask(unknown)).toBe(await ask(unknown));
    expect(await ask(unknown)).not.toBe(await ask('other@example.com'));
    expect(await ask(unknown)).toHaveLength(43);
  });

  it('refuses guesses for an unknown address like those for a known one', async () => {
    await using server = await TestServer.start(make, { enumeration: 'strict' });
    await server.register(known);
    for (const identifier of [known, unknown]) {
      const { body } = await server.auth('POST', '/login/otp', { identifier });
      const statuses = [];
      for (let guess = 0; guess < 4; guess++) {
        statuses.push(
          (await server.auth('POST', '/otp/activate', { otp_id: body.otp_id, otp: '000000' })).status,
        );
      }
      expect(statuses).toEqual([400, 400, 400, 401]);
    }
  });

  it('logs the owner of an address in who registers it again', async () => {
    await using server = await TestServer.start(make, { enumeration: 'strict' });
    const { id } = await server.register(known);
    const { otpId, code } = await server.sendCode(known, 'register');
    const { body } = await server.auth('POST', '/otp/activate', { otp_id: otpId, otp: code });
    const me = await server.auth('GET', '/currentuser', undefined, { token: body.auth_result.auth_token });
    expect(me.body.user.id).toBe(id);
  });

  it('never lets a visitor finish a registration of a known address', async () => {
    await using server = await TestServer.start(make, { enumeration: 'strict' });
    const { id } = await server.register(known);
    const { body } = await server.auth('POST', '/register/webauthn/start', { identifier: known });
    expect(body.user.id).not.toBe(id);
    const handshake_response = await server.authenticator().create(body.handshake.challenge.publicKey);
    for (const user_id of [body.user.id, id]) {
      const finish = { user_id, handshake_id: body.handshake.id, handshake_response };
      expect((await server.auth('POST', '/register/webauthn/finish', finish)).status).toBe(400);
    }
  });

  it('refuses a wrong answer to a registration in the same words, whatever the address is', async () => {
    await using server = await TestServer.start(make, { enumeration: 'strict' });
    await server.register(known);
    const refused = [];
    for (const identifier of [known, unknown, withoutPasskey]) {
      for (const ownUser of [true, false]) {
        const { body } = await server.auth('POST', '/register/webauthn/start', { identifier });
        const { publicKey } = body.handshake.challenge;
        const answer = await server.authenticator().create(publicKey, { clientData: { challenge: 'AAAA' } });
        const { status, text } = await server.auth('POST', '/register/webauthn/finish', {
          user_id: ownUser ? body.user.id : 'nobody',
          handshake_id: body.handshake.id,
          handshake_response: answer,
        });
        refused.push(`${status} ${text}`);
      }
    }
    expect(new Set(refused).size).toBe(1);
    expect(refused[0]).toContain('handshake_response: could not be verified.');
  });

  it('takes as long to refuse a forged login of an unknown address as of a known one', async () => {
    await using server = await TestServer.start(make, { enumeration: 'strict' });
    await server.register(known);
    const { authenticator } = await server.register('mallory@example.com');
    for (const identifier of [known, unknown]) {
      const { body } = await server.auth('POST', '/login/webauthn/start', { identifier });
      const { allowCredentials, ...publicKey } = body.handshake.challenge.publicKey;
      const [{ id }] = allowCredentials;
      const handshake_response = await authenticator.get(publicKey, {
        answer: (answer) => ({ ...answer, id, rawId: id }),
      });
      const start = performance.now();
      const finish = { handshake_id: body.handshake.id, handshake_response };
      const { status } = await server.auth('POST', '/login/webauthn/finish', finish);
      expect(status).toBe(401);
      // Timers may fire a millisecond early.
      expect(performance.now() - start).toBeGreaterThan(48);
    }
  });
});
