import { describe, expect, it, vi } from 'vitest';
import type { Passage } from './index.ts';
import { type Answer, createKey, Issuer, json, key, otherKey } from './issuer.fixture.ts';

const unknownKey = { code: 'ERR_PASSAGE_INVALID_TOKEN', reason: 'key' };
const unavailable = { code: 'ERR_PASSAGE_UNAVAILABLE', status: 503 };

/** An answer that a test lets go of when it wants to. */
function held(answer: Answer): { answer: Answer; release: () => void; arrived: Promise<void> } {
  let release = () => {};
  let arrive = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  return {
    answer: (request, response) => {
      arrive();
      void released.then(() => answer(request, response));
    },
    release,
    arrived,
  };
}

/** Waits for the refresh in the background: a token with an unknown `kid` joins it. */
async function refreshed(issuer: Issuer, passage: Passage): Promise<void> {
  await passage.auth.verifyToken(await issuer.sign({}, { kid: 'forged' })).catch(() => undefined);
}

describe('the keys of the issuer', () => {
  it('are not fetched before the first token that needs them', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    await expect(passage.auth.authenticate({})).rejects.toMatchObject({ status: 401 });
    expect(issuer.requests).toHaveLength(0);
    await passage.auth.verifyToken(await issuer.sign());
    expect(issuer.requests).toHaveLength(1);
  });

  it('are fetched once for 500 requests at a cold start', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const token = await issuer.sign();
    await Promise.all(Array.from({ length: 500 }, () => passage.auth.verifyToken(token)));
    expect(issuer.requests).toHaveLength(1);
  });

  it('are fetched without credentials', async () => {
    await using issuer = await Issuer.start();
    await issuer.passage().auth.verifyToken(await issuer.sign());
    expect(issuer.requests[0]?.headers).not.toHaveProperty('authorization');
    expect(issuer.requests[0]?.url).toBe('/auth/v1/apps/app1/.well-known/jwks.json');
  });

  it('serve for 5 minutes, and are then refreshed while they go on serving', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const token = await issuer.sign({ exp: issuer.now / 1000 + 3600 });
    const fresh = await issuer.sign({ exp: issuer.now / 1000 + 3600, jti: 'fresh' });
    await passage.auth.verifyToken(token);
    issuer.advance(299);
    await passage.auth.verifyToken(token);
    expect(issuer.requests).toHaveLength(1);
    const slow = held(json({ keys: [key.jwk] }));
    issuer.answer = slow.answer;
    issuer.advance(1);
    await passage.auth.verifyToken(token);
    await slow.arrived;
    await passage.auth.verifyToken(fresh);
    expect(issuer.requests).toHaveLength(2);
    slow.release();
  });

  it('stay the same where the issuer lists the same', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const token = await issuer.sign({ exp: issuer.now / 1000 + 3600 });
    const claims = await passage.auth.verifyToken(token);
    issuer.advance(300);
    await passage.auth.verifyToken(token);
    await refreshed(issuer, passage);
    expect(issuer.requests).toHaveLength(2);
    expect(await passage.auth.verifyToken(token)).toBe(claims);
  });

  it('include a new key at first sight', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    await passage.auth.verifyToken(await issuer.sign());
    issuer.answer = json({ keys: [key.jwk, otherKey.jwk] });
    issuer.advance(30);
    await expect(passage.auth.verifyToken(await issuer.sign({}, {}, otherKey))).resolves.toBeDefined();
    expect(issuer.requests).toHaveLength(2);
  });

  it('are fetched at most once in 30 seconds for unknown kids', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    await passage.auth.verifyToken(await issuer.sign());
    for (const [seconds, fetches] of [
      [29, 1],
      [1, 2],
      [29, 2],
      [1, 3],
    ] as const) {
      issuer.advance(seconds);
      const forged = await Promise.all(
        Array.from({ length: 50 }, (_, index) => issuer.sign({}, { kid: `forged${index}` })),
      );
      for (const token of forged) {
        await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(unknownKey);
      }
      expect(issuer.requests).toHaveLength(fetches);
    }
  });

  it('never keep a token waiting whose key is known', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    await passage.auth.verifyToken(await issuer.sign());
    const slow = held(json({ keys: [key.jwk] }));
    issuer.answer = slow.answer;
    issuer.advance(30);
    const forged = passage.auth.verifyToken(await issuer.sign({}, { kid: 'forged' }));
    await slow.arrived;
    await expect(passage.auth.verifyToken(await issuer.sign({ jti: 'new' }))).resolves.toBeDefined();
    slow.release();
    await expect(forged).rejects.toMatchObject(unknownKey);
  });

  it('no longer include a withdrawn key after 10 minutes, even after a quiet time', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const token = await issuer.sign({ exp: issuer.now / 1000 + 7200 });
    await passage.auth.verifyToken(token);
    issuer.answer = json({ keys: [otherKey.jwk] });
    issuer.advance(3600);
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(unknownKey);
  });

  it('include nothing where the issuer lists nothing', async () => {
    await using issuer = await Issuer.start();
    issuer.answer = json({ keys: [] });
    await expect(issuer.passage().auth.verifyToken(await issuer.sign())).rejects.toMatchObject(unknownKey);
  });

  it.each([
    ['no kid', { kid: undefined }],
    ['an empty kid', { kid: '' }],
    ['another use', { use: 'enc' }],
    ['another alg', { alg: 'RS512' }],
    ['other key operations', { key_ops: ['encrypt'] }],
    ['another key type', { kty: 'EC' }],
    ['no modulus', { n: undefined }],
    ['1 as exponent', { e: 'AQ' }],
    ['1 as exponent, written longer', { e: 'AAE' }],
  ])('leave out a key with %s', async (_name, members) => {
    await using issuer = await Issuer.start();
    issuer.answer = json({ keys: [{ ...key.jwk, ...members }, otherKey.jwk] });
    const passage = issuer.passage();
    await expect(passage.auth.verifyToken(await issuer.sign())).rejects.toMatchObject(unknownKey);
    await expect(passage.auth.verifyToken(await issuer.sign({}, {}, otherKey))).resolves.toBeDefined();
  });

  it.each([
    ['no use, no alg', { use: undefined, alg: undefined }],
    ['key operations that verify', { key_ops: ['verify'] }],
  ])('include a key with %s', async (_name, members) => {
    await using issuer = await Issuer.start();
    issuer.answer = json({ keys: [{ ...key.jwk, ...members }] });
    await expect(issuer.passage().auth.verifyToken(await issuer.sign())).resolves.toBeDefined();
  });

  it('leave out a key smaller than 2048 bits, and a kid that is listed twice', async () => {
    await using issuer = await Issuer.start();
    const small = await createKey('small', 1024);
    issuer.answer = json({ keys: [small.jwk, key.jwk, { ...otherKey.jwk, kid: 'key1' }] });
    const passage = issuer.passage();
    const token = await issuer.sign({}, {}, small);
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(unknownKey);
    await expect(passage.auth.verifyToken(await issuer.sign())).rejects.toMatchObject(unknownKey);
  });
});

describe('an issuer that is out of reach', () => {
  const broken: [string, Answer][] = [
    ['500', json({}, 500)],
    ['404', json({ code: 'app_not_found' }, 404)],
    ['a redirect', json({}, 302, { location: '/elsewhere' })],
    ['no JSON', (_request, response) => response.end('<html>')],
    ['no key set', json({ keys: 'none' })],
    ['null', json(null)],
    ['a list of no objects', json({ keys: [1] })],
    ['more than 1 MB', (_request, response) => response.end(`{"keys":[],"x":"${'x'.repeat(1_100_000)}"}`)],
    ['a closed connection', (request) => request.socket.destroy()],
    [
      'half a body',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{');
        response.socket?.destroySoon();
      },
    ],
    ['nothing in time', () => {}],
    [
      'a body that does not end',
      (_request, response) => {
        response.writeHead(200);
        response.write('{');
      },
    ],
  ];

  it.each(broken)('that answers %s leaves open whether a token is good', async (name, answer) => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage({ timeout: 100 });
    const token = await issuer.sign();
    issuer.answer = answer;
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject({
      ...unavailable,
      retryAfter: 1,
      headers: { 'Retry-After': '1' },
    });
    const reset = ['a closed connection', 'half a body'].includes(name);
    expect(issuer.requests).toHaveLength(reset ? 2 : 1);
    issuer.answer = json({ keys: [key.jwk] });
    issuer.advance(1);
    await expect(passage.auth.verifyToken(token)).resolves.toBeDefined();
  });

  it('is given up on in time even where fetch heeds no signal', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage({ timeout: 20, fetch: () => new Promise(() => {}) });
    await expect(passage.auth.verifyToken(await issuer.sign())).rejects.toMatchObject(unavailable);
  });

  it('is given up on after 5 seconds, however long other requests may take', async () => {
    await using issuer = await Issuer.start();
    const token = await issuer.sign();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const passage = issuer.passage({ timeout: 10_000, fetch: () => new Promise(() => {}) });
      const outcome = expect(passage.auth.verifyToken(token)).rejects.toMatchObject(unavailable);
      await vi.advanceTimersByTimeAsync(5000);
      await outcome;
    } finally {
      vi.useRealTimers();
    }
  });

  it('that redirects opaquely is not followed either', async () => {
    await using issuer = await Issuer.start();
    const opaque = Object.create(Response.error(), {
      type: { value: 'opaqueredirect' },
      body: { value: null },
    });
    const passage = issuer.passage({ fetch: async () => opaque });
    await expect(passage.auth.verifyToken(await issuer.sign())).rejects.toMatchObject(unavailable);
  });

  it('is asked again after 1 second at first, then after longer and longer', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const token = await issuer.sign({ exp: issuer.now / 1000 + 3600 });
    issuer.answer = json({}, 500);
    const attempts: number[] = [];
    for (let second = 0; second < 120; second += 1) {
      const before = issuer.requests.length;
      await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(unavailable);
      if (issuer.requests.length > before) attempts.push(second);
      issuer.advance(1);
    }
    expect(attempts.slice(0, 2)).toEqual([0, 1]);
    const waits = attempts.slice(1).map((second, index) => second - (attempts[index] as number));
    expect(waits.at(-1)).toBeGreaterThan(14);
    expect(Math.max(...waits)).toBeLessThanOrEqual(30);
    expect(attempts.filter((second) => second < 30).length).toBeLessThanOrEqual(10);
  });

  it('does not take away the keys that are known, for 24 hours', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const token = await issuer.sign({ exp: issuer.now / 1000 + 200_000 });
    await passage.auth.verifyToken(token);
    issuer.answer = json({}, 500);
    issuer.advance(3600);
    await expect(passage.auth.verifyToken(token)).resolves.toBeDefined();
    issuer.advance(86_400 - 3600 - 1);
    await expect(passage.auth.verifyToken(token)).resolves.toBeDefined();
    issuer.advance(1);
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(unavailable);
  });

  it('does not keep a known key waiting', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const token = await issuer.sign({ exp: issuer.now / 1000 + 200_000 });
    await passage.auth.verifyToken(token);
    issuer.answer = json({}, 500);
    issuer.advance(3600);
    await passage.auth.verifyToken(token);
    const slow = held(json({}, 500));
    issuer.answer = slow.answer;
    issuer.advance(3600);
    await expect(passage.auth.verifyToken(token)).resolves.toBeDefined();
    await slow.arrived;
    slow.release();
  });

  it('is asked at most once in 30 seconds once there are keys', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    const token = await issuer.sign({ exp: issuer.now / 1000 + 3600 });
    await passage.auth.verifyToken(token);
    issuer.answer = json({}, 500);
    issuer.advance(600);
    await passage.auth.verifyToken(token);
    expect(issuer.requests).toHaveLength(2);
    issuer.advance(29);
    await passage.auth.verifyToken(token);
    expect(issuer.requests).toHaveLength(2);
    issuer.advance(1);
    await passage.auth.verifyToken(token);
    await refreshed(issuer, passage);
    expect(issuer.requests).toHaveLength(3);
  });

  it('leaves open whether an unknown key is a new one', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage();
    await passage.auth.verifyToken(await issuer.sign());
    issuer.answer = json({}, 500);
    issuer.advance(30);
    const token = await issuer.sign({}, {}, otherKey);
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject({ ...unavailable, retryAfter: 30 });
    issuer.advance(10);
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject({ ...unavailable, retryAfter: 20 });
    expect(issuer.requests).toHaveLength(2);
  });
});

describe('a connection that the issuer closes', () => {
  it.each([
    ['Node', (issuer: Issuer) => issuer.options.fetch],
    [
      'Workers',
      () => async (input: RequestInfo | URL, init?: RequestInit) => {
        try {
          return await fetch(input, init);
        } catch {
          throw new Error('Network connection lost.');
        }
      },
    ],
  ])('is opened once more for the keys, on %s', async (_name, fetchOf) => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage({ fetch: fetchOf(issuer) });
    issuer.answer = (request) => {
      issuer.answer = json({ keys: [key.jwk] });
      request.socket.resetAndDestroy();
    };
    await expect(passage.auth.verifyToken(await issuer.sign())).resolves.toBeDefined();
    expect(issuer.requests).toHaveLength(2);
  });

  it('is opened no third time, and not after the timeout', async () => {
    await using issuer = await Issuer.start();
    issuer.answer = (request) => request.socket.resetAndDestroy();
    await expect(issuer.passage().auth.verifyToken(await issuer.sign())).rejects.toMatchObject(unavailable);
    expect(issuer.requests).toHaveLength(2);
    issuer.answer = (request) => setTimeout(() => request.socket.resetAndDestroy(), 600);
    const started = performance.now();
    const passage = issuer.passage({ timeout: 1_000 });
    await expect(passage.auth.verifyToken(await issuer.sign())).rejects.toMatchObject(unavailable);
    expect(performance.now() - started).toBeLessThan(1_900);
  });
});

// On Workers, what a request has started stops with it, and never settles.
describe('a fetch of the keys whose request is gone', () => {
  /** A `fetch` that never settles while `gone` is set. */
  function abandoning() {
    const host = {
      gone: false,
      fetches: 0,
      fetch: async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
        host.fetches += 1;
        return host.gone ? new Promise<never>(() => {}) : fetch(input, init);
      },
    };
    return host;
  }

  /** Only the work is gone: `setTimeout` belongs to the request, so its deadline is gone, too. */
  function startAndLeave(host: ReturnType<typeof abandoning>, start: () => unknown): void {
    host.gone = true;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      void start();
    } finally {
      vi.useRealTimers();
      host.gone = false;
    }
  }

  it('is made anew once it is older than its timeout, at the latest when another has waited so long', async () => {
    await using issuer = await Issuer.start();
    const host = abandoning();
    const passage = issuer.passage({ fetch: host.fetch, timeout: 50 });
    const token = await issuer.sign();
    startAndLeave(host, () => passage.auth.verifyToken(token));
    await expect(passage.auth.verifyToken(token)).resolves.toBeDefined();
    expect(host.fetches).toBe(2);

    const cold = issuer.passage({ fetch: host.fetch, timeout: 5000 });
    startAndLeave(host, () => cold.auth.verifyToken(token));
    issuer.advance(6);
    const started = performance.now();
    await Promise.all(Array.from({ length: 50 }, () => cold.auth.verifyToken(token)));
    expect(performance.now() - started).toBeLessThan(1000);
    expect(host.fetches).toBe(4);
  });

  it('is not made in the background again, and delays one request in 30 seconds at the most', async () => {
    await using issuer = await Issuer.start();
    const host = abandoning();
    const passage = issuer.passage({ fetch: host.fetch });
    const token = await issuer.sign({ exp: issuer.now / 1000 + 7200 });
    await passage.auth.verifyToken(token);
    issuer.advance(360);
    startAndLeave(host, () => passage.auth.verifyToken(token));
    issuer.answer = json({ keys: [otherKey.jwk] });
    issuer.advance(6);
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(unknownKey);
    expect(host.fetches).toBe(3);

    issuer.answer = json({ keys: [key.jwk] });
    issuer.advance(30);
    await passage.auth.verifyToken(token);
    issuer.answer = json({}, 500);
    issuer.advance(300);
    // An outage is seen by the one that asks, which goes on with the known keys; the next ones do not ask.
    await passage.auth.verifyToken(token);
    const asked = host.fetches;
    await passage.auth.verifyToken(token);
    issuer.advance(29);
    await passage.auth.verifyToken(token);
    expect(host.fetches).toBe(asked);
    issuer.answer = json({ keys: [otherKey.jwk] });
    issuer.advance(1);
    await expect(passage.auth.verifyToken(token)).rejects.toMatchObject(unknownKey);
  });

  it('is made anew once for all that have waited for it', async () => {
    await using issuer = await Issuer.start();
    const host = abandoning();
    const passage = issuer.passage({ fetch: host.fetch, timeout: 50 });
    const token = await issuer.sign();
    startAndLeave(host, () => passage.auth.verifyToken(token));
    await Promise.all(Array.from({ length: 3 }, () => passage.auth.verifyToken(token)));
    expect(host.fetches).toBe(2);
  });

  it.each([
    ['well', () => Response.json({ keys: [key.jwk] })],
    ['badly', () => new Response('', { status: 500 })],
  ])('is in the background again once one has ended after all, %s', async (_how, late) => {
    await using issuer = await Issuer.start();
    const host: { fetch: typeof fetch } = { fetch };
    const passage = issuer.passage({ fetch: (...request) => host.fetch(...request) });
    const token = await issuer.sign({ exp: issuer.now / 1000 + 7200 });
    await passage.auth.verifyToken(token);
    let release = () => {};
    host.fetch = () =>
      new Promise((resolve) => {
        release = () => resolve(late());
      });
    issuer.advance(360);
    await passage.auth.verifyToken(token);
    host.fetch = fetch;
    issuer.advance(6);
    await passage.auth.verifyToken(token);
    expect(issuer.requests).toHaveLength(2);

    release();
    // What is in memory is read within one turn of the event loop.
    await new Promise(setImmediate);
    host.fetch = () => new Promise(() => {});
    issuer.advance(300);
    await expect(passage.auth.verifyToken(token)).resolves.toBeDefined();
  });
});

describe('given keys', () => {
  it('serve without a fetch, and for good', async () => {
    await using issuer = await Issuer.start();
    const passage = issuer.passage({ jwks: { keys: [key.jwk] } });
    const token = await issuer.sign({ exp: issuer.now / 1000 + 1_000_000 });
    const claims = await passage.auth.verifyToken(token);
    issuer.advance(900_000);
    expect(await passage.auth.verifyToken(token)).toBe(claims);
    await expect(passage.auth.verifyToken(await issuer.sign({ jti: 'another' }))).resolves.toBeDefined();
    const other = issuer.sign({ exp: issuer.now / 1000 + 60 }, {}, otherKey);
    await expect(passage.auth.verifyToken(await other)).rejects.toMatchObject(unknownKey);
    expect(issuer.requests).toHaveLength(0);
  });

  it.each([[{}], [{ keys: 'none' }], [null], [{ keys: [() => {}] }]])(
    'must be a key set: %j',
    async (jwks) => {
      await using issuer = await Issuer.start();
      expect(() => issuer.passage({ jwks: jwks as never })).toThrow(/"jwks" option/);
    },
  );
});
