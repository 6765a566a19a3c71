import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { InvalidTokenError, internalAuthenticate, internalSettle } from './index.ts';
import { createKey, encode, Issuer, json, key, otherKey, signText } from './issuer.fixture.ts';

function signRaw(header: object, payload: object): Promise<string> {
  return signText(JSON.stringify(header), JSON.stringify(payload));
}

const header = { alg: 'RS256', typ: 'JWT', kid: 'key1' };

function rejection(reason: string): object {
  return { code: 'ERR_PASSAGE_INVALID_TOKEN', status: 401, reason };
}

const { getBuiltinModule } = process;

// What a runtime has decides who checks signatures: Node itself, or jose. A stub of Node's functions stands for others.
const runtimes: [string, typeof getBuiltinModule | undefined][] = [
  ['node:crypto', getBuiltinModule],
  ['no node:crypto', undefined],
  [
    'a node:crypto that is not implemented',
    (() => ({
      KeyObject: {
        from: () => {
          throw new Error('Not implemented');
        },
      },
    })) as never,
  ],
];

describe.each(runtimes)('passage.auth.verifyToken, with %s,', (name, builtin) => {
  beforeAll(() => {
    Object.assign(process, { getBuiltinModule: builtin });
  });
  afterAll(() => {
    Object.assign(process, { getBuiltinModule });
  });

  it(`verifies ${name === 'node:crypto' ? 'at once' : 'later'} a new token whose key is known`, async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    await passage.auth.verifyToken(await issuer.sign());
    const headers = { authorization: `Bearer ${await issuer.sign({ jti: 'new' })}` };
    let userId: string | undefined;
    const outcome = new Promise<void>((resolve, reject) => {
      internalSettle(
        () => internalAuthenticate(passage, headers, {}),
        (error, principal) => {
          userId = principal?.userId;
          error ? reject(error) : resolve();
        },
      );
    });
    expect(userId).toBe(name === 'node:crypto' ? 'user1' : undefined);
    await outcome;
    expect(userId).toBe('user1');
  });

  it('gives the claims of a good token', async () => {
    await using issuer = await Issuer.start();
    await expect(issuer.passage().auth.verifyToken(await issuer.sign())).resolves.toEqual(issuer.claims());
  });

  it('gives the user id as validateJwt', async () => {
    await using issuer = await Issuer.start();
    await expect(issuer.passage().auth.validateJwt(await issuer.sign())).resolves.toBe('user1');
  });

  it('protects the claims, which later requests share', async () => {
    await using issuer = await Issuer.start();
    const claims = await issuer.passage().auth.verifyToken(await issuer.sign({ custom: { role: 'user' } }));
    expect(() => Object.assign(claims.custom as object, { role: 'admin' })).toThrow(TypeError);
    expect(() => (claims.aud as string[]).push('other')).toThrow(TypeError);
  });

  it.each([
    ['aud as a string', { aud: 'app1' }, {}],
    ['aud as a list with others', { aud: ['other', 'app1'] }, {}],
    ['no nbf', { nbf: undefined }, {}],
    ['no iat', { iat: undefined }, {}],
    ['unknown claims', { role: 'admin', jti: 'j1' }, {}],
    ['no typ', {}, { typ: undefined }],
    ['typ in lower case', {}, { typ: 'jwt' }],
    ['an unknown header member', {}, { x: 1 }],
    ['a user id with a dot', { sub: '...' }, {}],
    ['any text of Unicode', { name: 'Zoë 🔑 \ufffd' }, {}],
  ])('accepts %s', async (_name, claims, members) => {
    await using issuer = await Issuer.start();
    await expect(
      issuer.passage().auth.verifyToken(await issuer.sign(claims, members)),
    ).resolves.toBeDefined();
  });

  it.each([
    ['another aud', 'claim', { aud: 'app2' }],
    ['an aud that contains the app id', 'claim', { aud: 'app12' }],
    ['a list of other auds', 'claim', { aud: ['app2', 'http://localhost'] }],
    ['no aud', 'claim', { aud: undefined }],
    ['another iss', 'claim', { iss: 'https://evil.example/auth/v1/apps/app1' }],
    ['an iss of another app', 'claim', { iss: 'http://127.0.0.1/auth/v1/apps/app2' }],
    ['no iss', 'claim', { iss: undefined }],
    ['no sub', 'claim', { sub: undefined }],
    ['an empty sub', 'claim', { sub: '' }],
    ['a blank sub', 'claim', { sub: ' ' }],
    ['a sub that is no text', 'claim', { sub: 1 }],
    ['a sub that climbs a path', 'claim', { sub: '..' }],
    ['a sub that stays in a path', 'claim', { sub: '.' }],
    ['a sub that is no Unicode text', 'claim', { sub: '\ud800' }],
    ['no exp', 'claim', { exp: undefined }],
    ['an exp that is no number', 'claim', { exp: '9999999999' }],
    ['an exp in the past', 'expired', { exp: 1 }],
    ['an nbf in the future', 'claim', { nbf: 9_999_999_999 }],
    ['an nbf that is no number', 'claim', { nbf: '1' }],
  ])('refuses %s', async (_name, reason, claims) => {
    await using issuer = await Issuer.start();
    const token = await signRaw(header, { ...issuer.claims(), ...claims });
    await expect(issuer.passage().auth.verifyToken(token)).rejects.toMatchObject(rejection(reason));
  });

  it('refuses an exp that is not finite', async () => {
    await using issuer = await Issuer.start();
    const payload = JSON.stringify(issuer.claims()).replace(/"exp":\d+/, '"exp":1e999');
    const token = await signText(JSON.stringify(header), payload);
    await expect(issuer.passage().auth.verifyToken(token)).rejects.toMatchObject(rejection('claim'));
  });

  it.each([
    ['no kid', 'key', { ...header, kid: undefined }],
    ['an empty kid', 'key', { ...header, kid: '' }],
    ['a kid that is no text', 'key', { ...header, kid: 1 }],
    ['an unknown kid', 'key', { ...header, kid: 'other' }],
    ['none as alg', 'algorithm', { ...header, alg: 'none' }],
    ['HS256 as alg', 'algorithm', { ...header, alg: 'HS256' }],
    ['PS256 as alg', 'algorithm', { ...header, alg: 'PS256' }],
    ['no alg', 'algorithm', { ...header, alg: undefined }],
    ['alg in lower case', 'algorithm', { ...header, alg: 'rs256' }],
    ['another explicit typ', 'malformed', { ...header, typ: 'at+jwt' }],
    ['a typ that is no text', 'malformed', { ...header, typ: 1 }],
    ['an unknown critical extension', 'malformed', { ...header, crit: ['x'], x: 1 }],
    ['the b64 extension', 'malformed', { ...header, crit: ['b64'], b64: true }],
  ])('refuses a header with %s', async (_name, reason, members) => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    await expect(passage.auth.verifyToken(await signRaw(header, issuer.claims()))).resolves.toBeDefined();
    const token = await signRaw(members, issuer.claims());
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(rejection(reason));
  });

  it('takes no key and no URL from a header', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const jku = `${issuer.baseUrl}/evil.json`;
    const token = await issuer.sign({}, { jwk: otherKey.jwk, jku, x5u: jku, kid: 'key1' }, otherKey);
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(rejection('signature'));
    expect(issuer.requests.map(({ url }) => url)).toEqual(['/auth/v1/apps/app1/.well-known/jwks.json']);
  });

  it('refuses what is no compact JWS, and asks nobody', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const good = await issuer.sign();
    const [head, payload, signature] = good.split('.') as [string, string, string];
    const texts = [
      '',
      '.',
      '..',
      'a.b',
      'a.b.c',
      `${head}.${payload}`,
      `${good}.x`,
      `${good}=`,
      ` ${good}`,
      `${good}\n`,
      `${head}..${signature}`,
      `.${payload}.${signature}`,
      good.replace('.', '.\u0000'),
      `${encode('[]')}.${payload}.${signature}`,
      `${encode('null')}.${payload}.${signature}`,
      `${encode('{')}.${payload}.${signature}`,
      // A part of four bytes, which is replaced by just as many.
      `${Buffer.from([0x7b, 0xf0, 0x9f, 0x94, 0x7d]).toString('base64url')}.${payload}.${signature}`,
      `${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.${payload}.${signature}`,
      `${head}.${encode('"text"')}.${signature}`,
      `${head}.${payload}.${signature.slice(0, -1)}`,
      `${head}.${payload}.${signature}AAA`,
      good + 'A'.repeat(8192),
      'a'.repeat(1_000_000),
    ];
    for (const text of texts) {
      await expect(passage.auth.verifyToken(text), text.slice(0, 80)).rejects.toMatchObject(
        rejection('malformed'),
      );
    }
    for (const value of [undefined, null, 1, {}, [good]]) {
      await expect(passage.auth.verifyToken(value as never)).rejects.toMatchObject(rejection('malformed'));
    }
    expect(issuer.requests).toEqual([]);
    await expect(passage.auth.verifyToken(good)).resolves.toBeDefined();
  });

  it('reads at most 8192 characters', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const signPadded = (length: number) => issuer.sign({ padding: 'x'.repeat(length) });
    const base = (await signPadded(0)).length;
    // Three bytes of padding are four characters of the token.
    const longest = Math.floor(((8192 - base) * 3) / 4);
    const token = await signPadded(longest - 3);
    expect(token.length).toBeGreaterThan(8180);
    await expect(passage.auth.verifyToken(token)).resolves.toBeDefined();
    const longer = await signPadded(longest + 3);
    expect(longer.length).toBeLessThan(8204);
    await expect(passage.auth.verifyToken(longer)).rejects.toMatchObject(rejection('malformed'));
  });

  // RFC 7515 appendix A.5
  it('refuses an unsigned token', async () => {
    await using issuer = await Issuer.start();
    const token = `${encode('{"alg":"none"}')}.${encode(JSON.stringify(issuer.claims()))}.`;
    await expect(issuer.passage().auth.verifyToken(token)).rejects.toMatchObject(rejection('algorithm'));
  });

  it('refuses a signature by another key', async () => {
    await using issuer = await Issuer.start();
    const token = await issuer.sign({}, { kid: 'key1' }, otherKey);
    await expect(issuer.passage().auth.verifyToken(token)).rejects.toMatchObject(rejection('signature'));
  });

  it('refuses a signature of another length than the key has', async () => {
    await using issuer = await Issuer.start();
    const [head, payload] = (await issuer.sign()).split('.');
    for (const length of [1, 2, 3, 255, 257, 512]) {
      const token = `${head}.${payload}.${Buffer.alloc(length).toString('base64url')}`;
      await expect(issuer.passage().auth.verifyToken(token)).rejects.toMatchObject(rejection('signature'));
    }
  });

  it('refuses a good token with any character changed', async () => {
    await using issuer = await Issuer.start();
    const good = await issuer.sign();
    const passage = issuer.passage();
    await passage.auth.verifyToken(good);
    let refused = 0;
    for (let at = 0; at < good.length; at += 1) {
      for (const character of ['A', 'B', '_', '.', '=', ' ', 'é']) {
        if (good[at] === character) continue;
        const changed = good.slice(0, at) + character + good.slice(at + 1);
        const result = await passage.auth.verifyToken(changed).catch((error) => error.code);
        expect(result, `${character} at ${at}`).toBe('ERR_PASSAGE_INVALID_TOKEN');
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(good.length * 6);
    // A last character that stands for the same bytes is another text, and refused too (RFC 4648 §3.5).
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const accepted = [];
    for (const character of alphabet) {
      const twin = good.slice(0, -1) + character;
      if (await passage.auth.verifyToken(twin).catch(() => undefined)) accepted.push(twin);
    }
    expect(accepted).toEqual([good]);
  });

  it('refuses non-canonical ends of signatures by larger keys', async () => {
    await using issuer = await Issuer.start();
    const large = await createKey('large', 4096);
    issuer.answer = json({ keys: [large.jwk] });
    const passage = issuer.passage();
    const good = await issuer.sign({}, {}, large);
    await expect(passage.auth.verifyToken(good)).resolves.toBeDefined();
    await expect(passage.auth.verifyToken(`${good.slice(0, -1)}B`)).rejects.toMatchObject(
      rejection('malformed'),
    );
  });

  it('allows the clock tolerance, and not a second more', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const strict = issuer.passage({ clockTolerance: 0 });
    const token = await issuer.sign({ exp: issuer.now / 1000 + 60, nbf: issuer.now / 1000 + 5 });
    await expect(passage.auth.verifyToken(token)).resolves.toBeDefined();
    await expect(strict.auth.verifyToken(token)).rejects.toMatchObject(rejection('claim'));
    issuer.advance(5);
    await expect(strict.auth.verifyToken(token)).resolves.toBeDefined();
    issuer.advance(59);
    await expect(passage.auth.verifyToken(token)).resolves.toBeDefined();
    await expect(strict.auth.verifyToken(token)).rejects.toMatchObject(rejection('expired'));
    issuer.advance(1);
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(rejection('expired'));
  });

  it('accepts the issuers of the option, exactly', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage({ issuer: ['https://old.example', 'https://new.example'] });
    for (const iss of ['https://old.example', 'https://new.example']) {
      await expect(passage.auth.verifyToken(await issuer.sign({ iss }))).resolves.toBeDefined();
    }
    for (const iss of ['https://old.example/', 'https://OLD.example', issuer.claims().iss]) {
      const token = await issuer.sign({ iss });
      await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(rejection('claim'));
    }
  });

  it('passes on what it cannot explain instead of calling it a refusal', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage({
      clock: () => {
        throw new RangeError('no time');
      },
    });
    await expect(passage.auth.verifyToken(await issuer.sign())).rejects.toThrow(RangeError);
  });
});

describe('on a runtime without Buffer', () => {
  it('reads tokens of any text', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage({ jwks: { keys: [key.jwk] } });
    await passage.auth.verifyToken(await issuer.sign());
    const token = await issuer.sign({ name: 'Zoë 🔑' });
    const forged = `${encode('{"x":1')}.${token.split('.').slice(1).join('.')}`;
    vi.stubGlobal('Buffer', undefined);
    const { getBuiltinModule } = process;
    Object.assign(process, { getBuiltinModule: undefined });
    const portable = issuer.passage({ jwks: { keys: [key.jwk] } });
    const outcomes = Promise.allSettled([
      portable.auth.verifyToken(token),
      portable.auth.verifyToken(forged),
    ]);
    const [good, bad] = await outcomes.finally(() => {
      vi.unstubAllGlobals();
      Object.assign(process, { getBuiltinModule });
    });
    expect(good).toMatchObject({ value: { name: 'Zoë 🔑' } });
    expect(bad).toMatchObject({ reason: rejection('malformed') });
  });
});

describe('a refusal', () => {
  it('has no stack, and leaves that of other errors alone', async () => {
    await using issuer = await Issuer.start();
    const { auth } = issuer.passage();
    const limit = Error.stackTraceLimit;
    const refusals = await Promise.all(
      [{}, { authorization: 'Bearer' }, { authorization: 'Bearer x' }].map((headers) =>
        auth.authenticate(headers).catch((error: Error) => error.stack),
      ),
    );
    expect(refusals).toEqual([
      'UnauthenticatedError: Authentication is required',
      'InvalidRequestError: The Authorization header must be sent once, as "Bearer <token>"',
      'InvalidTokenError: The token is malformed',
    ]);
    expect(Error.stackTraceLimit).toBe(limit);
    expect(new Error('with a stack').stack).toMatch(/verify\.test/);
  });

  it.each([
    ['iss', { iss: 'https://evil.example' }],
    ['aud', { aud: ['evil-app'] }],
    ['sub', { sub: '' }],
    ['exp', { exp: 'evil' }],
    ['exp', { exp: 1 }],
    ['nbf', { nbf: 9_999_999_999 }],
  ])('names the claim: %s of %j', async (claim, claims) => {
    await using issuer = await Issuer.start();
    const token = await issuer.sign(claims);
    await expect(issuer.passage().auth.verifyToken(token)).rejects.toMatchObject({ claim });
    const malformed = issuer.passage().auth.verifyToken('x');
    await expect(malformed).rejects.toHaveProperty('claim', undefined);
  });

  it.each([
    ['iss', { iss: 'https://evil.example' }, 'https://evil.example'],
    ['aud', { aud: ['evil-app'] }, ['evil-app']],
  ])('has the expected and the received %s, and prints neither', async (claim, claims, received) => {
    await using issuer = await Issuer.start();
    const error = await issuer
      .passage()
      .auth.verifyToken(await issuer.sign(claims))
      .catch((thrown: InvalidTokenError) => thrown);
    if (!(error instanceof InvalidTokenError)) throw error;
    const expected = [claim === 'iss' ? String(issuer.claims().iss) : 'app1'];
    expect(error.mismatch).toEqual({ expected, received });
    const printed = [
      inspect(error, { depth: null, showHidden: true }),
      inspect(error, { depth: null, getters: true }),
      JSON.stringify(error),
      JSON.stringify({ ...error }),
      String(error),
      error.stack,
    ];
    // As pino and winston do.
    for (const name in error) printed.push(inspect(error[name as keyof typeof error]));
    for (const text of printed) {
      expect(text).not.toContain('evil');
      expect(text).not.toContain(expected[0]);
    }
  });
});

describe('the memory of verified tokens', () => {
  it('checks the time again at each use', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const token = await issuer.sign();
    await passage.auth.verifyToken(token);
    issuer.advance(904);
    await expect(passage.auth.verifyToken(token)).resolves.toBeDefined();
    issuer.advance(1);
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(rejection('expired'));
  });

  it('gives the same claims again, and verifies anew when it is switched off', async () => {
    await using issuer = await Issuer.start();
    const token = await issuer.sign();
    const remembering = issuer.passage();
    expect(await remembering.auth.verifyToken(token)).toBe(await remembering.auth.verifyToken(token));
    const forgetting = issuer.passage({ tokenCacheSize: 0 });
    expect(await forgetting.auth.verifyToken(token)).not.toBe(await forgetting.auth.verifyToken(token));
  });

  it('forgets a token whose key went away', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const token = await issuer.sign({ exp: issuer.now / 1000 + 3600 });
    await passage.auth.verifyToken(token);
    issuer.answer = json({ keys: [otherKey.jwk] });
    issuer.advance(600);
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(rejection('key'));
  });

  it('holds no more than it may, and keeps what is used', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage({ tokenCacheSize: 4 });
    const tokens = await Promise.all(
      Array.from({ length: 5 }, (_, index) => issuer.sign({ jti: String(index) })),
    );
    const [used, ...others] = tokens as [string, ...string[]];
    const first = await passage.auth.verifyToken(used);
    const second = await passage.auth.verifyToken(others[0] as string);
    for (const token of others.slice(1)) {
      await passage.auth.verifyToken(token);
      expect(await passage.auth.verifyToken(used)).toBe(first);
    }
    expect(await passage.auth.verifyToken(others[0] as string)).not.toBe(second);
  });

  it('holds as many as it may, in whatever order they come', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage({ tokenCacheSize: 4 });
    const tokens = await Promise.all(
      Array.from({ length: 4 }, (_, index) => issuer.sign({ jti: String(index) })),
    );
    const first = await Promise.all(tokens.map((token) => passage.auth.verifyToken(token)));
    const second = await Promise.all(tokens.map((token) => passage.auth.verifyToken(token)));
    for (const [index, claims] of second.entries()) expect(claims).toBe(first[index]);
  });
});
