import type { AssertionChanges, RequestOptions, VirtualAuthenticator } from '@passage-auth/testing';
import { expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { type Answer, origin, TestServer } from '../../test/server.ts';

interface Handshake {
  id: string;
  challenge: { publicKey: RequestOptions };
}

const ada = 'ada@example.com';

/** Attested data of a credential: no AAGUID, an ID of one byte, and an ES256 key. */
const attested = Buffer.from(
  `${'00'.repeat(16)}000107a5010203262001215820${'01'.repeat(32)}225820${'02'.repeat(32)}`,
  'hex',
);

describeDatabases('WebAuthn §7.2, login', (make) => {
  async function start(server: TestServer, identifier?: string): Promise<Handshake> {
    const { body } = await server.auth('POST', '/login/webauthn/start', identifier ? { identifier } : {});
    return body.handshake;
  }

  async function finish(
    server: TestServer,
    handshake: Handshake,
    authenticator: VirtualAuthenticator,
    changes: AssertionChanges = {},
  ): Promise<Answer> {
    return server.auth('POST', '/login/webauthn/finish', {
      handshake_id: handshake.id,
      handshake_response: await authenticator.get(handshake.challenge.publicKey, changes),
    });
  }

  /** One login with a change is refused, with an identifier and without; the same without it succeeds. */
  async function expectRefusal(
    changes: AssertionChanges | ((handshake: Handshake) => AssertionChanges),
    options: { app?: object; authenticator?: object } = {},
  ): Promise<void> {
    await using server = await TestServer.start(make, { app: options.app ?? {} });
    const { authenticator } = await server.register(ada, server.authenticator(options.authenticator ?? {}));
    for (const [identifier, code] of [
      [ada, 'webauthn_login_failed'],
      [undefined, 'discoverable_login_failed'],
    ] as const) {
      const wrong = await start(server, identifier);
      const made = typeof changes === 'function' ? changes(wrong) : changes;
      expect(await finish(server, wrong, authenticator, made)).toMatchObject({ status: 401, body: { code } });
      expect((await finish(server, await start(server, identifier), authenticator)).status).toBe(200);
    }
  }

  it('1: refuses a passkey that was not asked for', async () => {
    await using server = await TestServer.start(make);
    const { authenticator, token } = await server.register(ada);
    const asked = await start(server, ada);
    const added = await server.auth(
      'POST',
      '/currentuser/devices/start',
      { authenticator_attachment: 'any' },
      { token },
    );
    const second = server.authenticator();
    const answer = await second.create(added.body.handshake.challenge.publicKey);
    await server.auth(
      'POST',
      '/currentuser/devices/finish',
      { user_id: added.body.user.id, handshake_id: added.body.handshake.id, handshake_response: answer },
      { token },
    );
    expect((await finish(server, asked, second, { passkey: second.passkeys[0] })).status).toBe(401);
    expect((await finish(server, await start(server, ada), second)).status).toBe(200);
    expect((await finish(server, await start(server, ada), authenticator)).status).toBe(200);
  });

  it('1: refuses a raw ID of another passkey', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    for (const [change, status] of [
      [{ rawId: Buffer.alloc(16, 7).toString('base64url') }, 401],
      [{}, 200],
    ] as const) {
      const handshake = await start(server, ada);
      const answer = await authenticator.get(handshake.challenge.publicKey);
      const body = { handshake_id: handshake.id, handshake_response: { ...answer, ...change } };
      expect((await server.auth('POST', '/login/webauthn/finish', body)).status).toBe(status);
    }
  });

  it('2: refuses the passkey of another user', async () => {
    await using server = await TestServer.start(make);
    const own = await server.register(ada);
    const bob = await server.register('bob@example.com');
    const passkey = bob.authenticator.passkeys[0];
    expect((await finish(server, await start(server, ada), bob.authenticator, { passkey })).status).toBe(401);
    expect((await finish(server, await start(server, ada), own.authenticator)).status).toBe(200);
  });
  it('2: refuses the handle of another user', () =>
    expectRefusal({ userHandle: Buffer.from('AAAAAAAAAAAAAAAAAAAAAAAA').toString('base64url') }));
  it('2: refuses a login without identifier and without handle', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    expect((await finish(server, await start(server), authenticator, { userHandle: '' })).status).toBe(401);
    expect((await finish(server, await start(server), authenticator)).status).toBe(200);
    expect((await finish(server, await start(server, ada), authenticator, { userHandle: '' })).status).toBe(
      200,
    );
  });
  it('2: takes a handle as each official client sends it', async () => {
    await using server = await TestServer.start(make);
    const { authenticator, id } = await server.register(ada);
    const once = Buffer.from(id).toString('base64url');
    for (const userHandle of [id, once, Buffer.from(once).toString('base64url')]) {
      expect((await finish(server, await start(server), authenticator, { userHandle })).status).toBe(200);
    }
  });
  it('2: refuses the id of another user beside the answer', async () => {
    await using server = await TestServer.start(make);
    const { authenticator, id } = await server.register(ada);
    const bob = await server.register('bob@example.com');
    for (const [user_id, status] of [
      [bob.id, 401],
      [id, 200],
    ] as const) {
      const handshake = await start(server, ada);
      const handshake_response = await authenticator.get(handshake.challenge.publicKey);
      const body = { handshake_id: handshake.id, handshake_response, user_id };
      expect((await server.auth('POST', '/login/webauthn/finish', body)).status).toBe(status);
    }
  });

  it('3: refuses another type', () => expectRefusal({ clientData: { type: 'webauthn.create' } }));

  it.each([
    ['unknown', () => Buffer.alloc(32, 7).toString('base64url')],
    ['truncated', (challenge: string) => challenge.slice(0, -1)],
    ['padded', (challenge: string) => `${challenge}=`],
    ['of another case', (challenge: string) => challenge.toUpperCase()],
    ['empty', () => ''],
  ])('4: refuses a challenge that is %s', (_, change) =>
    expectRefusal(({ challenge }) => ({ clientData: { challenge: change(challenge.publicKey.challenge) } })),
  );
  it('4: refuses the challenge of another session', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    const [own, other] = [await start(server), await start(server)];
    const { challenge } = other.challenge.publicKey;
    expect((await finish(server, own, authenticator, { clientData: { challenge } })).status).toBe(401);
    expect((await finish(server, other, authenticator)).status).toBe(200);
  });
  it('4: refuses the handshake of a registration', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    const { body } = await server.auth('POST', '/register/webauthn/start', { identifier: 'bob@example.com' });
    const { id, challenge } = body.handshake;
    const mixed = {
      id,
      challenge: { publicKey: { rpId: 'www.example.com', challenge: challenge.publicKey.challenge } },
    };
    expect((await finish(server, mixed, authenticator)).status).toBe(401);
    // The wrong answer was the one answer that it takes.
    const handshake_response = await server.authenticator().create(challenge.publicKey);
    const late = { user_id: body.user.id, handshake_id: id, handshake_response };
    expect((await server.auth('POST', '/register/webauthn/finish', late)).status).toBe(400);
    expect((await finish(server, await start(server), authenticator)).status).toBe(200);
  });
  it('4: refuses the handshake for adding a passkey, of the same user', async () => {
    await using server = await TestServer.start(make);
    const { authenticator, token } = await server.register(ada);
    const { body } = await server.auth('POST', '/currentuser/devices/start', {}, { token });
    const { id, challenge } = body.handshake;
    const mixed = {
      id,
      challenge: { publicKey: { rpId: 'www.example.com', challenge: challenge.publicKey.challenge } },
    };
    expect((await finish(server, mixed, authenticator)).status).toBe(401);
    expect((await finish(server, await start(server, ada), authenticator)).status).toBe(200);
  });
  it('4: refuses a challenge after five minutes', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    const [late, inTime] = [await start(server), await start(server)];
    server.advance(299);
    expect((await finish(server, inTime, authenticator)).status).toBe(200);
    server.advance(1);
    expect((await finish(server, late, authenticator)).status).toBe(401);
  });
  it('4: consumes the challenge by a wrong answer, and by a right one', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    const wrong = await start(server);
    expect((await finish(server, wrong, authenticator, { rpId: 'example.net' })).status).toBe(401);
    expect((await finish(server, wrong, authenticator)).status).toBe(401);
    const right = await start(server);
    expect((await finish(server, right, authenticator)).status).toBe(200);
    expect((await finish(server, right, authenticator)).status).toBe(401);
  });
  it('4: lets one of 50 parallel answers win', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    const handshake = await start(server);
    const handshake_response = await authenticator.get(handshake.challenge.publicKey);
    const body = { handshake_id: handshake.id, handshake_response };
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => server.auth('POST', '/login/webauthn/finish', body)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });
  it('4: refuses the handshake of another app', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    const other = await server.server.apps.create({ authOrigin: origin });
    const handshake = await start(server);
    const handshake_response = await authenticator.get(handshake.challenge.publicKey);
    const body = { handshake_id: handshake.id, handshake_response };
    const path = `/auth/v1/apps/${other.appId}/login/webauthn/finish`;
    expect((await server.call('POST', path, body)).status).toBe(401);
    expect((await server.auth('POST', '/login/webauthn/finish', body)).status).toBe(200);
  });

  it.each([
    'http://www.example.com',
    'https://www.example.com:444',
    'https://example.com',
    'https://evil.www.example.com',
    'https://www.example.com.evil.test',
    'https://www.example.com/',
    'https://WWW.example.com',
    'null',
    undefined,
  ])('5: refuses the origin %s', (wrong) => expectRefusal({ clientData: { origin: wrong } }));
  it.each([
    [{ crossOrigin: true }],
    [{ crossOrigin: true, topOrigin: origin }],
    [{ topOrigin: origin }],
    [{ crossOrigin: 1 }],
  ])('5: refuses a frame of another site: %j', (clientData) => expectRefusal({ clientData }));

  it('6: refuses the RP ID of another site', () => expectRefusal({ rpId: 'example.com' }));
  it('6: refuses when no user was present', () => expectRefusal({ flags: { up: false } }));
  it('6: refuses an unverified user where verification is required', () =>
    expectRefusal({ flags: { uv: false } }, { app: { userVerification: 'required' } }));
  it('6: takes an unverified user where verification is preferred', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    expect((await finish(server, await start(server), authenticator, { flags: { uv: false } })).status).toBe(
      200,
    );
  });

  it('7: refuses a backed-up passkey that cannot be backed up', () => expectRefusal({ flags: { bs: true } }));
  it('7: takes a passkey whose provider begins or ends to sync it, stores that and logs it', async () => {
    await using server = await TestServer.start(make);
    const { authenticator, id } = await server.register(ada, server.authenticator({ transports: ['usb'] }));
    const logIn = async (flags: { be: boolean; bs: boolean }) => {
      expect((await finish(server, await start(server, ada), authenticator, { flags })).status).toBe(200);
      const { body } = await server.manage('GET', `/users/${id}/devices`);
      const changes = server.log.filter((line) => line.includes('passkey.backup_changed'));
      return [
        body.devices[0].type,
        changes.length,
        /"backupEligible".*"backedUp":\w+/.exec(changes.at(-1) ?? '')?.[0],
      ];
    };
    expect(await logIn({ be: false, bs: false })).toEqual(['security_key', 0, undefined]);
    expect(await logIn({ be: true, bs: false })).toEqual([
      'passkey',
      1,
      '"backupEligible":true,"backedUp":false',
    ]);
    expect(await logIn({ be: true, bs: false })).toEqual([
      'passkey',
      1,
      '"backupEligible":true,"backedUp":false',
    ]);
    expect(await logIn({ be: true, bs: true })).toEqual([
      'passkey',
      2,
      '"backupEligible":true,"backedUp":true',
    ]);
    expect(await logIn({ be: true, bs: true })).toEqual([
      'passkey',
      2,
      '"backupEligible":true,"backedUp":true',
    ]);
    expect(await logIn({ be: false, bs: false })).toEqual([
      'security_key',
      3,
      '"backupEligible":false,"backedUp":false',
    ]);
    expect(server.log.join()).toContain(`"user":"${id}"`);
  });

  it.each<[string, (bytes: Buffer) => Uint8Array]>([
    [
      'with a bit flipped',
      (bytes) => Buffer.from(bytes.map((byte, index) => (index === bytes.length - 1 ? byte ^ 1 : byte))),
    ],
    ['of zeros', (bytes) => Buffer.alloc(bytes.length)],
    ['that is empty', () => Buffer.alloc(0)],
    ['with bytes after its end', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])],
    [
      'with bytes after its numbers',
      (bytes) =>
        Buffer.concat([Buffer.from([0x30, (bytes[1] ?? 0) + 2]), bytes.subarray(2), Buffer.from([5, 0])]),
    ],
  ])('8: refuses a signature %s', (_, signature) => expectRefusal({ signature }));
  it('8: refuses the signature of another key', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    const [passkey] = authenticator.passkeys;
    const { authenticator: stranger } = await server.register('bob@example.com');
    const { privateKey } = stranger.passkeys[0] ?? {};
    const forged = { ...passkey, privateKey } as typeof passkey;
    expect((await finish(server, await start(server), authenticator, { passkey: forged })).status).toBe(401);
    expect((await finish(server, await start(server), authenticator)).status).toBe(200);
  });
  it.each(['authenticatorData', 'clientDataJSON'] as const)(
    '8: refuses a signature over other %s',
    (member) =>
      expectRefusal({
        answer: (answer) => {
          const bytes = Buffer.from(answer.response[member], 'base64url');
          const changed = member === 'authenticatorData' ? bumpCounter(bytes) : Buffer.from(` ${bytes}`);
          return { ...answer, response: { ...answer.response, [member]: changed.toString('base64url') } };
        },
      }),
  );

  it('9: refuses a counter that does not grow, and says so in the log', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    expect((await finish(server, await start(server), authenticator, { counter: 10 })).status).toBe(200);
    for (const [counter, status] of [
      [10, 401],
      [9, 401],
      [0, 401],
      [11, 200],
    ] as const) {
      expect((await finish(server, await start(server), authenticator, { counter })).status).toBe(status);
    }
    expect(server.log.filter((line) => /counter did not grow/.test(line))).toHaveLength(3);
  });
  it('9: takes a counter of a synced passkey that does not grow, and warns in the log', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(
      ada,
      server.authenticator({ backupEligible: true, counting: true }),
    );
    const warnings = () => server.log.filter((line) => line.includes('passkey.counter_went_back')).length;
    for (const [counter, logged] of [
      [10, 0],
      [10, 1],
      [3, 2],
      [4, 2],
      [0, 3],
      [0, 3],
    ] as const) {
      expect((await finish(server, await start(server), authenticator, { counter })).status).toBe(200);
      expect(warnings()).toBe(logged);
    }
  });
  it('9: takes a counter that goes back when a passkey is synced from then on, but not when it no longer is', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    for (const [counter, be, status] of [
      [10, false, 200],
      [0, false, 401],
      [0, true, 200],
      [5, true, 200],
      [5, false, 401],
      [6, false, 200],
    ] as const) {
      const answer = await finish(server, await start(server), authenticator, { counter, flags: { be } });
      expect([counter, be, answer.status]).toEqual([counter, be, status]);
    }
  });
  it('9: does not count a signature that is forged', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    const forged = { counter: 1_000, signature: (bytes: Buffer) => Buffer.alloc(bytes.length) };
    expect((await finish(server, await start(server), authenticator, forged)).status).toBe(401);
    expect((await finish(server, await start(server), authenticator, { counter: 2 })).status).toBe(200);
  });
  it.each([
    [false, [200, 401]],
    [true, [200, 200]],
  ])(
    '9: takes one of two answers with the same counter that come at once, or both if synced: %s',
    async (backupEligible, statuses) => {
      await using server = await TestServer.start(make);
      const options = { backupEligible, counting: true };
      const { authenticator } = await server.register(ada, server.authenticator(options));
      const handshakes = [await start(server), await start(server)];
      const answers = await Promise.all(
        handshakes.map((handshake) => finish(server, handshake, authenticator, { counter: 5 })),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual(statuses);
    },
  );
  it('9: takes a counter that stays 0', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada, server.authenticator({ counting: false }));
    for (let time = 0; time < 2; time++) {
      expect((await finish(server, await start(server), authenticator)).status).toBe(200);
    }
  });

  it('10: refuses a passkey deleted in between', async () => {
    await using server = await TestServer.start(make);
    const { authenticator, id } = await server.register(ada);
    const handshake = await start(server);
    const { body } = await server.manage('GET', `/users/${id}/devices`);
    await server.manage('DELETE', `/users/${id}/devices/${body.devices[0].id}`);
    expect((await finish(server, handshake, authenticator)).status).toBe(401);
  });
  it('10: refuses a user deactivated in between', async () => {
    await using server = await TestServer.start(make);
    const { authenticator, id } = await server.register(ada);
    const [identified, discoverable] = [await start(server, ada), await start(server)];
    await server.manage('PATCH', `/users/${id}/deactivate`);
    expect((await finish(server, identified, authenticator)).status).toBe(401);
    expect(await finish(server, discoverable, authenticator)).toMatchObject({
      status: 403,
      body: { code: 'user_not_active' },
    });
    await server.manage('PATCH', `/users/${id}/activate`);
    expect((await finish(server, await start(server, ada), authenticator)).status).toBe(200);
  });
  it.each([
    ['all sessions are ended', ['DELETE /tokens']],
    ['the user is deactivated, and activated again', ['PATCH /deactivate', 'PATCH /activate']],
  ])('10: ends ceremonies under way when %s', async (_, calls) => {
    await using server = await TestServer.start(make);
    const { authenticator, id, token } = await server.register(ada);
    const bob = await server.register('bob@example.com');
    const add = async (caller: string) =>
      (await server.auth('POST', '/currentuser/devices/start', {}, { token: caller })).body;
    const finishAdding = async (
      { handshake, user }: { handshake: Handshake; user: { id: string } },
      caller: string,
    ) => {
      const handshake_response = await server.authenticator().create(handshake.challenge.publicKey as never);
      const body = { user_id: user.id, handshake_id: handshake.id, handshake_response };
      return (await server.auth('POST', '/currentuser/devices/finish', body, { token: caller })).status;
    };
    const before = [await start(server, ada), await start(server, 'bob@example.com')] as const;
    const adding = [await add(token), await add(bob.token)] as const;
    for (const call of calls) {
      const [method = '', path = ''] = call.split(' ');
      await server.manage(method, `/users/${id}${path}`);
    }
    expect((await finish(server, before[0], authenticator)).status).toBe(401);
    expect(await finishAdding(adding[0], token)).toBe(401);
    expect((await finish(server, before[1], bob.authenticator)).status).toBe(200);
    expect(await finishAdding(adding[1], bob.token)).toBe(201);
    expect((await finish(server, await start(server, ada), authenticator)).status).toBe(200);
  });

  it.each<[string, (bytes: Buffer) => Uint8Array]>([
    ['of 36 bytes', (bytes) => bytes.subarray(0, 36)],
    ['with bytes after their end', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])],
    ['that promise a credential', (bytes) => setFlag(bytes, 0x40)],
    ['with a whole credential', (bytes) => Buffer.concat([setFlag(bytes, 0x40), attested])],
    ['that promise extensions', (bytes) => setFlag(bytes, 0x80)],
    [
      'with extensions of indefinite length',
      (bytes) => Buffer.concat([setFlag(bytes, 0x80), Buffer.from([0xbf, 0xff])]),
    ],
  ])('11: refuses authenticator data %s', (_, authenticatorData) => expectRefusal({ authenticatorData }));

  it('11: takes extensions, as of PRF', async () => {
    await using server = await TestServer.start(make);
    const { authenticator } = await server.register(ada);
    const hmacSecret = Buffer.from(`a16b686d61632d7365637265745830${'07'.repeat(48)}`, 'hex');
    const answer = await finish(server, await start(server), authenticator, {
      authenticatorData: (bytes) => Buffer.concat([setFlag(bytes, 0x80), hmacSecret]),
    });
    expect(answer.status).toBe(200);
  });

  it('12: stores the counter, and the counter of a synced passkey too', async () => {
    await using server = await TestServer.start(make);
    const options = { backupEligible: true, counting: true };
    const { authenticator } = await server.register(ada, server.authenticator(options));
    expect((await finish(server, await start(server), authenticator, { counter: 7 })).status).toBe(200);
    const alone = { flags: { be: false, bs: false } };
    expect((await finish(server, await start(server), authenticator, { counter: 7, ...alone })).status).toBe(
      401,
    );
    expect((await finish(server, await start(server), authenticator, { counter: 8, ...alone })).status).toBe(
      200,
    );
    expect((await finish(server, await start(server), authenticator, { counter: 8, ...alone })).status).toBe(
      401,
    );
  });

  it('counts each login', async () => {
    await using server = await TestServer.start(make);
    const { authenticator, id } = await server.register(ada);
    server.advance(60);
    await finish(server, await start(server), authenticator);
    const { body } = await server.manage('GET', `/users/${id}`);
    expect(body.user).toMatchObject({
      login_count: 2,
      last_login_at: new Date(server.now).toISOString(),
      webauthn_devices: [{ usage_count: 2, last_login_at: new Date(server.now).toISOString() }],
    });
  });
});

function bumpCounter(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed.writeUInt32BE(changed.readUInt32BE(33) + 1, 33);
  return changed;
}

function setFlag(bytes: Buffer, flag: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[32] = (changed[32] ?? 0) | flag;
  return changed;
}
