import { generateKeyPairSync } from 'node:crypto';
import type { CreationChanges, CreationOptions, VirtualAuthenticator } from '@passage-auth/testing';
import { encodeCbor } from '@passage-auth/testing';
import { expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { type Answer, origin, TestServer } from '../../test/server.ts';

interface Started {
  handshake: { id: string; challenge: { publicKey: CreationOptions } };
  user: { id: string };
}

describeDatabases('WebAuthn §7.1, registration', (make) => {
  async function start(server: TestServer, identifier = 'ada@example.com'): Promise<Started> {
    const { body } = await server.auth('POST', '/register/webauthn/start', { identifier });
    return body;
  }

  async function finish(
    server: TestServer,
    { handshake, user }: Started,
    changes: CreationChanges = {},
    authenticator: VirtualAuthenticator = server.authenticator(),
  ): Promise<Answer> {
    return server.auth('POST', '/register/webauthn/finish', {
      user_id: user.id,
      handshake_id: handshake.id,
      handshake_response: await authenticator.create(handshake.challenge.publicKey, changes),
    });
  }

  /** One ceremony with a change is refused; the same without it succeeds. */
  async function expectRefusal(
    changes: CreationChanges | ((started: Started) => CreationChanges),
    { app = {}, authenticator = (server: TestServer) => server.authenticator() } = {},
  ): Promise<void> {
    await using server = await TestServer.start(make, { app });
    const wrong = await start(server);
    const made = typeof changes === 'function' ? changes(wrong) : changes;
    const refused = await finish(server, wrong, made, authenticator(server));
    expect(refused).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    const twin = await finish(server, await start(server), {}, authenticator(server));
    expect(twin.status).toBe(201);
  }

  it('1: refuses another type', () => expectRefusal({ clientData: { type: 'webauthn.get' } }));

  it.each([
    ['unknown', () => Buffer.alloc(32, 7).toString('base64url')],
    ['truncated', (challenge: string) => challenge.slice(0, -1)],
    ['padded', (challenge: string) => `${challenge}=`],
    ['of another case', (challenge: string) => challenge.toLowerCase()],
    ['empty', () => ''],
  ])('2: refuses a challenge that is %s', (_, change) =>
    expectRefusal(({ handshake }) => ({
      clientData: { challenge: change(handshake.challenge.publicKey.challenge) },
    })),
  );

  it('2: refuses the challenge of another session', async () => {
    await using server = await TestServer.start(make);
    const [own, other] = [await start(server), await start(server)];
    const { challenge } = other.handshake.challenge.publicKey;
    expect((await finish(server, own, { clientData: { challenge } })).status).toBe(400);
    expect((await finish(server, other)).status).toBe(201);
  });

  it('2: refuses the handshake of a login', async () => {
    await using server = await TestServer.start(make);
    const started = await start(server);
    const login = await server.auth('POST', '/login/webauthn/start', {});
    const { handshake } = login.body;
    const { challenge } = handshake.challenge.publicKey;
    const mixed = { ...started, handshake: { ...started.handshake, id: handshake.id } };
    expect((await finish(server, mixed, { clientData: { challenge } })).status).toBe(400);
    expect((await finish(server, started)).status).toBe(201);
  });

  it('2: refuses the handshake for adding a passkey, and for adding one that of a sign-up', async () => {
    await using server = await TestServer.start(make);
    const ada = await server.signIn('ada@example.com');
    const add = async () => {
      const { body } = await server.auth('POST', '/currentuser/devices/start', {}, { token: ada.token });
      return body as Started;
    };
    const finishAdding = async ({ handshake, user }: Started) => {
      const handshake_response = await server.authenticator().create(handshake.challenge.publicKey);
      const body = { user_id: user.id, handshake_id: handshake.id, handshake_response };
      return server.auth('POST', '/currentuser/devices/finish', body, { token: ada.token });
    };
    expect((await finish(server, await add())).status).toBe(400);
    expect((await finishAdding(await add())).status).toBe(201);
    const signup = await start(server, 'bob@example.com');
    expect((await finishAdding({ ...signup, user: { id: ada.id } })).status).toBe(400);
    // The wrong answer was the one answer that it takes.
    expect((await finish(server, signup)).status).toBe(400);
    expect((await finish(server, await start(server, 'bob@example.com'))).status).toBe(201);
  });

  it('2: refuses a challenge after five minutes', async () => {
    await using server = await TestServer.start(make);
    const [late, inTime] = [await start(server), await start(server)];
    server.advance(299);
    expect((await finish(server, inTime)).status).toBe(201);
    server.advance(1);
    expect((await finish(server, { ...late })).status).toBe(400);
  });

  it('2: consumes the challenge by a wrong answer, and by a right one', async () => {
    await using server = await TestServer.start(make);
    const wrong = await start(server);
    expect((await finish(server, wrong, { rpId: 'example.net' })).status).toBe(400);
    expect((await finish(server, wrong)).status).toBe(400);
    const { token, id } = await server.register('bob@example.com');
    const { body: added } = await server.auth('POST', '/currentuser/devices/start', {}, { token });
    const answer = async () => {
      const handshake_response = await server.authenticator().create(added.handshake.challenge.publicKey);
      const body = { user_id: id, handshake_id: added.handshake.id, handshake_response };
      return server.auth('POST', '/currentuser/devices/finish', body, { token });
    };
    expect((await answer()).status).toBe(201);
    expect((await answer()).status).toBe(400);
  });

  it('2: lets one of many parallel answers win', async () => {
    await using server = await TestServer.start(make);
    const started = await start(server);
    const answers = await Promise.all(Array.from({ length: 20 }, () => finish(server, started)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
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
  ])('3: refuses the origin %s', (wrong) => expectRefusal({ clientData: { origin: wrong } }));

  it('3: takes the other origins of the app', async () => {
    const native = 'android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck';
    await using server = await TestServer.start(make, { app: { additionalAuthOrigins: [native] } });
    const answer = await finish(server, await start(server), { clientData: { origin: native } });
    expect(answer.status).toBe(201);
  });

  it.each([
    [{ crossOrigin: true }],
    [{ crossOrigin: true, topOrigin: origin }],
    [{ topOrigin: origin }],
    [{ crossOrigin: 1 }],
  ])('4: refuses a frame of another site: %j', (clientData) => expectRefusal({ clientData }));

  it('5: refuses the RP ID of another site', () => expectRefusal({ rpId: 'example.com' }));

  it('6: refuses when no user was present', () => expectRefusal({ flags: { up: false } }));
  it('6: refuses an unverified user where verification is required', () =>
    expectRefusal({ flags: { uv: false } }, { app: { userVerification: 'required' } }));
  it('6: takes an unverified user where verification is preferred', async () => {
    await using server = await TestServer.start(make);
    expect((await finish(server, await start(server), { flags: { uv: false } })).status).toBe(201);
  });

  it('7: refuses a backed-up passkey that cannot be backed up', () =>
    expectRefusal({ flags: { be: false, bs: true } }));

  it('8: refuses an algorithm that was not offered', () =>
    expectRefusal({ coseKey: (key) => new Map([...key, [3, -47]]) }));
  it('8: refuses an algorithm that does not suit the key', () =>
    expectRefusal({ coseKey: (key) => new Map([...key, [3, -8]]) }));
  it('8: refuses a key on another curve', () =>
    expectRefusal({ coseKey: (key) => new Map([...key, [-1, 2]]) }));
  it('8: refuses a point that is not on its curve', () =>
    expectRefusal({ coseKey: (key) => new Map([...key, [-3, Buffer.alloc(32, 1)]]) }));
  it('8: refuses RSA below 2048 bits', async () => {
    const authenticator = (server: TestServer) => server.authenticator({ algorithms: ['RS256'] });
    const keyPair = generateKeyPairSync('rsa', { modulusLength: 1024 });
    await expectRefusal({ keyPair }, { authenticator });
  });
  it.each(['ES256', 'EdDSA', 'RS256'] as const)('8: takes %s', async (algorithm) => {
    await using server = await TestServer.start(make);
    const authenticator = server.authenticator({ algorithms: [algorithm] });
    expect((await finish(server, await start(server), {}, authenticator)).status).toBe(201);
  });

  it('9: refuses an attestation format that is unknown', () => expectRefusal({ format: 'made-up' }));
  it('9: refuses an attestation that is called none but is not empty', () =>
    expectRefusal({ statement: () => new Map([['alg', -7]]) }));
  it.each([
    ['a wrong signature', { signature: (bytes: Buffer) => Buffer.from(bytes).fill(1, bytes.length - 8) }],
    ['no signature', { statement: () => new Map([['alg', -7]]) }],
    [
      'a signature that is not exact DER',
      {
        signature: (bytes: Buffer) =>
          Buffer.from(bytes.map((byte, index) => (index === 1 ? byte ^ 1 : byte))),
      },
    ],
    [
      'another algorithm',
      { statement: (own: Map<string, unknown>) => new Map([...own, ['alg', -257]]) as never },
    ],
  ])('9: refuses a self attestation with %s', (_, changes) =>
    expectRefusal(changes, { authenticator: (server) => server.authenticator({ attestation: 'packed' }) }),
  );

  it.each([0, 1_024])('10: refuses a credential ID of %i bytes', (length) =>
    expectRefusal({ credentialId: Buffer.alloc(length, 1) }),
  );
  it('10: takes a credential ID of 1023 bytes', async () => {
    await using server = await TestServer.start(make);
    expect((await finish(server, await start(server), { credentialId: Buffer.alloc(1_023, 1) })).status).toBe(
      201,
    );
  });
  it('10: refuses an ID that differs from the attested one', () =>
    expectRefusal({
      answer: (answer) => ({ ...answer, id: 'AAAA', rawId: 'AAAA' }),
    }));
  it('10: refuses a credential that another user has registered', async () => {
    await using server = await TestServer.start(make);
    const credentialId = Buffer.alloc(32, 9);
    const [first, second] = [await start(server), await start(server, 'bob@example.com')];
    expect((await finish(server, first, { credentialId })).status).toBe(201);
    expect((await finish(server, second, { credentialId })).status).toBe(400);
    expect((await finish(server, await start(server, 'bob@example.com'))).status).toBe(201);
  });
  it('10: refuses a credential that its own user has registered', async () => {
    await using server = await TestServer.start(make);
    const { token, id, authenticator } = await server.register('ada@example.com');
    const own = Buffer.from(authenticator.passkeys[0]?.id ?? '', 'base64url');
    for (const [credentialId, status] of [
      [own, 400],
      [Buffer.alloc(32, 9), 201],
    ] as const) {
      const { body } = await server.auth('POST', '/currentuser/devices/start', {}, { token });
      const { handshake } = body;
      const options = { ...handshake.challenge.publicKey, excludeCredentials: [] };
      const handshake_response = await server.authenticator().create(options, { credentialId });
      const answer = { user_id: id, handshake_id: handshake.id, handshake_response };
      expect((await server.auth('POST', '/currentuser/devices/finish', answer, { token })).status).toBe(
        status,
      );
    }
  });
  it('10: lets one of two registrations of a credential win', async () => {
    await using server = await TestServer.start(make);
    const credentialId = Buffer.alloc(32, 9);
    const started = await Promise.all([start(server), start(server, 'bob@example.com')]);
    const answers = await Promise.all(started.map((one) => finish(server, one, { credentialId })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 400]);
  });

  it.each<[string, CreationChanges]>([
    ['bytes after the end', { attestationObject: (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]) }],
    ['a key given twice', { attestationObject: (bytes) => repeatFirstMember(bytes) }],
    [
      'an indefinite length',
      {
        attestationObject: (bytes) =>
          Buffer.concat([Buffer.from([0xbf]), bytes.subarray(1), Buffer.from([0xff])]),
      },
    ],
    ['1,000 levels', { statement: () => nest(1_000) }],
    ['a key given twice in the public key', { coseKey: (key) => repeatFirstMember(encodeCbor(key)) }],
    ['a coordinate that says it is longer', { coseKey: (key) => lengthenLast(encodeCbor(key)) }],
    ['a public key cut off', { coseKey: (key) => encodeCbor(key).subarray(0, -1) }],
  ])('11: refuses CBOR with %s', (_, changes) => expectRefusal(changes));

  it.each<[string, (bytes: Buffer) => Uint8Array]>([
    ['of 36 bytes', (bytes) => bytes.subarray(0, 36)],
    ['without a credential', (bytes) => withFlags(bytes.subarray(0, 37), 0x05)],
    ['that hide the credential', (bytes) => withFlags(bytes, 0x05)],
    ['that promise extensions', (bytes) => withFlags(bytes, 0xc5)],
    ['with bytes after their end', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])],
    [
      'with an extension given twice',
      (bytes) => Buffer.concat([withFlags(bytes, 0xc5), Buffer.from('a2616101616102', 'hex')]),
    ],
  ])('11: refuses authenticator data %s', (_, authenticatorData) => expectRefusal({ authenticatorData }));
  it('11: takes extensions, as for PRF', async () => {
    await using server = await TestServer.start(make);
    const hmacSecret = Buffer.from('a16b686d61632d736563726574f5', 'hex');
    const answer = await finish(server, await start(server), {
      authenticatorData: (bytes) => Buffer.concat([withFlags(bytes, 0xc5), hmacSecret]),
      answer: (own) => ({ ...own, clientExtensionResults: { prf: { enabled: true } } }),
    });
    expect(answer.status).toBe(201);
  });

  it('11: refuses an answer of 10 MB without reading it', async () => {
    await using server = await TestServer.start(make);
    const started = await start(server);
    const answer = await finish(server, started, {
      attestationObject: (bytes) => Buffer.concat([bytes, Buffer.alloc(10_000_000)]),
    });
    expect(answer).toMatchObject({ status: 413, body: { code: 'invalid_request' } });
    expect((await finish(server, started)).status).toBe(201);
  });

  it('12: refuses the session of another user', async () => {
    await using server = await TestServer.start(make);
    const [ada, bob] = [await start(server), await start(server, 'bob@example.com')];
    expect((await finish(server, { ...ada, user: bob.user })).status).toBe(400);
    expect((await finish(server, bob)).status).toBe(201);
  });

  it('12: refuses the session of another app', async () => {
    await using server = await TestServer.start(make);
    const other = await server.server.apps.create({ authOrigin: origin });
    const started = await start(server);
    const handshake_response = await server.authenticator().create(started.handshake.challenge.publicKey);
    const body = { user_id: started.user.id, handshake_id: started.handshake.id, handshake_response };
    const path = `/auth/v1/apps/${other.appId}/register/webauthn/finish`;
    expect((await server.call('POST', path, body)).status).toBe(400);
    expect((await server.auth('POST', '/register/webauthn/finish', body)).status).toBe(201);
  });

  it('12: refuses to add a passkey long after the login', async () => {
    await using server = await TestServer.start(make);
    const { refreshToken, token } = await server.signIn('ada@example.com');
    expect((await server.auth('POST', '/currentuser/devices/start', {}, { token })).status).toBe(200);
    server.advance(12 * 3_600 + 1);
    const refreshed = await server.auth('POST', '/tokens', { refresh_token: refreshToken });
    const later = { token: refreshed.body.auth_result.auth_token };
    expect(await server.auth('POST', '/currentuser/devices/start', {}, later)).toMatchObject({
      status: 403,
      body: { code: 'operation_not_allowed' },
    });
    const again = await server.signIn('ada@example.com');
    expect((await server.auth('POST', '/currentuser/devices/start', {}, { token: again.token })).status).toBe(
      200,
    );
  });

  it('12: refuses to finish adding a passkey as somebody else', async () => {
    await using server = await TestServer.start(make);
    const [ada, bob] = [await server.signIn('ada@example.com'), await server.signIn('bob@example.com')];
    const add = async (starter: { token: string; id: string }, finisher: { token: string; id: string }) => {
      const { body } = await server.auth('POST', '/currentuser/devices/start', {}, { token: starter.token });
      const handshake_response = await server.authenticator().create(body.handshake.challenge.publicKey);
      const answer = { user_id: finisher.id, handshake_id: body.handshake.id, handshake_response };
      return server.auth('POST', '/currentuser/devices/finish', answer, { token: finisher.token });
    };
    expect((await add(ada, bob)).status).toBe(400);
    expect((await add(ada, ada)).status).toBe(201);
  });

  it('takes transports that a client does not know, given as null', async () => {
    await using server = await TestServer.start(make);
    const answer = await finish(server, await start(server), {
      answer: (own) =>
        ({ ...own, transports: null, response: { ...own.response, transports: null } }) as never,
    });
    expect(answer.status).toBe(201);
  });

  it('sends a challenge of 32 random bytes, never the same twice', async () => {
    await using server = await TestServer.start(make);
    const started = await Promise.all(Array.from({ length: 20 }, () => start(server)));
    const challenges = started.map(({ handshake }) => handshake.challenge.publicKey.challenge);
    expect(new Set(challenges).size).toBe(20);
    for (const challenge of challenges) expect(Buffer.from(challenge, 'base64url')).toHaveLength(32);
  });
});

/** A map that says its first member twice. */
function repeatFirstMember(map: Uint8Array): Buffer {
  const bytes = Buffer.from(map);
  const first = encodedFirstMember(bytes);
  return Buffer.concat([Buffer.from([(bytes[0] ?? 0) + 1]), first, bytes.subarray(1)]);
}

function withFlags(data: Uint8Array, flags: number): Buffer {
  const changed = Buffer.from(data);
  changed[32] = flags;
  return changed;
}

/** Says that the last member, of 32 bytes, has 33. */
function lengthenLast(map: Uint8Array): Buffer {
  const bytes = Buffer.from(map);
  bytes[bytes.length - 33] = 33;
  return bytes;
}

/** Length of `fmt: "none"` or of `1: 2`: a short key and a short value. */
function encodedFirstMember(bytes: Buffer): Buffer {
  const length = (head: number) => 1 + (head >> 5 === 3 ? head & 0x1f : 0);
  const key = length(bytes[1] ?? 0);
  return bytes.subarray(1, 1 + key + length(bytes[1 + key] ?? 0));
}

function nest(depth: number): never {
  let value: unknown = new Map();
  for (let level = 0; level < depth; level++) value = new Map([['a', value]]);
  return value as never;
}
