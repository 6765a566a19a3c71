import { describe, expect, it } from 'vitest';
import packageJson from '../package.json' with { type: 'json' };
import { type Answer, Issuer, json } from './issuer.fixture.ts';

const unavailable = { code: 'ERR_PASSAGE_UNAVAILABLE', status: 503 };
const user = json({ user: { id: 'user1', status: 'active' } });

/** Answers in turn; the last one for good. */
function inTurn(...answers: Answer[]): Answer {
  return (request, response) => (answers.length > 1 ? answers.shift() : answers[0])?.(request, response);
}

const destroyed: Answer = (request) => request.socket.destroy();

describe('a call of the Management API', () => {
  it('carries the key and the version of this package', async () => {
    await using issuer = await Issuer.start();
    issuer.answer = user;
    await issuer.passage().user.get('user1');
    expect(issuer.requests).toMatchObject([
      {
        method: 'GET',
        url: '/api/v1/apps/app1/users/user1',
        headers: {
          authorization: 'Bearer key.secret',
          'passage-version': `@passage-auth/core ${packageJson.version}`,
        },
      },
    ]);
  });

  it.each(['a/b', 'a?b', 'a#b', 'a%2fb', '../../x', '...', 'ü', 'a b', '\\', ';', 'a:b'])(
    'makes exactly one path segment of the id "%s"',
    async (id) => {
      await using issuer = await Issuer.start();
      issuer.answer = json({ user: { id, status: 'active' } });
      await issuer.passage().user.get(id);
      const segments = issuer.requests[0]?.url.split('/') ?? [];
      expect(segments).toHaveLength(7);
      expect(decodeURIComponent(segments[6] as string)).toBe(id);
    },
  );

  it.each([undefined, null, '', ' ', '.', '..', '\ud800', 1, {}])(
    'refuses %j as an id, and asks nobody',
    async (id) => {
      await using issuer = await Issuer.start();
      const { user, auth } = issuer.passage();
      const calls = [
        () => user.get(id as never),
        () => user.update(id as never, {}),
        () => user.delete(id as never),
        () => user.activate(id as never),
        () => user.deactivate(id as never),
        () => user.listDevices(id as never),
        () => user.revokeDevice(id as never, 'device1'),
        () => user.revokeRefreshTokens(id as never),
        () => auth.createMagicLink({ userId: id as never, channel: 'email' }),
      ];
      for (const call of calls) await expect((async () => call())()).rejects.toThrow(TypeError);
      await expect(user.revokeDevice('user1', id as never)).rejects.toThrow(/"deviceId"/);
      await expect((async () => user.get(id as never))()).rejects.toThrow(/"userId"/);
      expect(issuer.requests).toEqual([]);
    },
  );

  it('gives the API’s refusal with its status, code and text', async () => {
    await using issuer = await Issuer.start();
    issuer.answer = json({ code: 'user_not_found', error: 'User not found' }, 404);
    await expect(issuer.passage().user.get('user1')).rejects.toMatchObject({
      code: 'ERR_PASSAGE_API',
      status: 502,
      apiStatus: 404,
      apiCode: 'user_not_found',
      apiMessage: 'User not found',
    });
    expect(issuer.requests).toHaveLength(1);
  });

  it.each<[string, Answer]>([
    ['no JSON', (_request, response) => response.writeHead(404).end('<html>')],
    ['nothing', (_request, response) => response.writeHead(404).end()],
    ['other members', json({ status: 1 }, 404)],
    ['members of other types', json({ code: 1, error: {} }, 404)],
    ['a list', json([], 404)],
  ])('gives a refusal that says %s without code and text', async (_name, answer) => {
    await using issuer = await Issuer.start();
    issuer.answer = answer;
    await expect(issuer.passage().user.get('user1')).rejects.toMatchObject({
      apiStatus: 404,
      apiCode: undefined,
      apiMessage: undefined,
    });
  });

  it.each<[string, Answer]>([
    ['no JSON', (_request, response) => response.end('<html>')],
    ['nothing', (_request, response) => response.end()],
    ['null', json(null)],
    ['another envelope', json({ users: [] })],
    ['an empty envelope', json({ user: null })],
    ['another user', json({ user: { id: 'user2' } })],
    ['no user', json({ user: 'user1' })],
  ])('does not take %s for a user', async (_name, answer) => {
    await using issuer = await Issuer.start();
    issuer.answer = answer;
    await expect(issuer.passage().user.get('user1')).rejects.toMatchObject({
      code: 'ERR_PASSAGE_API',
      apiStatus: 200,
      message: 'The response of the Passage API is invalid',
    });
  });

  it('does not take an object for a list of devices', async () => {
    await using issuer = await Issuer.start();
    issuer.answer = json({ devices: {} });
    await expect(issuer.passage().user.listDevices('user1')).rejects.toMatchObject({ apiStatus: 200 });
  });

  it.each([408, 425, 429, 500, 502, 503, 504])('sends a GET once more after %i', async (status) => {
    await using issuer = await Issuer.start();
    issuer.answer = inTurn(json({}, status, { 'retry-after': '0' }), user);
    await expect(issuer.passage().user.get('user1')).resolves.toMatchObject({ id: 'user1' });
    expect(issuer.requests).toHaveLength(2);
  });

  it('sends a GET once more after a lost connection, and only once', async () => {
    await using issuer = await Issuer.start();
    issuer.answer = inTurn(destroyed, user);
    await expect(issuer.passage().user.get('user1')).resolves.toMatchObject({ id: 'user1' });
    issuer.answer = destroyed;
    await expect(issuer.passage().user.get('user1')).rejects.toMatchObject(unavailable);
    expect(issuer.requests).toHaveLength(4);
  });

  it('never repeats anything but a GET', async () => {
    await using issuer = await Issuer.start();
    const { user, auth } = issuer.passage();
    for (const answer of [json({}, 503, { 'retry-after': '0' }), destroyed]) {
      issuer.answer = answer;
      const calls = [
        () => user.create({ email: 'a@example.com' }),
        () => user.update('user1', {}),
        () => user.delete('user1'),
        () => user.activate('user1'),
        () => user.deactivate('user1'),
        () => user.revokeDevice('user1', 'device1'),
        () => user.revokeRefreshTokens('user1'),
        () => auth.createMagicLink({ email: 'a@example.com' }),
      ];
      for (const call of calls) {
        issuer.requests.length = 0;
        await expect(call()).rejects.toMatchObject(unavailable);
        expect(issuer.requests).toHaveLength(1);
      }
    }
  });

  it.each([
    ['429', 429, '3', 3],
    ['503', 503, '120', 120],
    ['a date', 503, 'Fri, 01 Jan 2100 00:00:00 GMT', expect.any(Number)],
    ['429 without a time', 429, undefined, 1],
  ])('does not wait out a long Retry-After: %s', async (_name, status, retryAfter, expected) => {
    await using issuer = await Issuer.start();
    issuer.answer = json({}, status, retryAfter ? { 'retry-after': retryAfter } : {});
    await expect(issuer.passage().user.get('user1')).rejects.toMatchObject({
      ...unavailable,
      retryAfter: expected,
    });
    expect(issuer.requests).toHaveLength(1);
  });

  it.each(['Fri, 01 Jan 2010 00:00:00 GMT', 'soon'])(
    'tries again at once where Retry-After is "%s"',
    async (value) => {
      await using issuer = await Issuer.start();
      issuer.answer = inTurn(json({}, 503, { 'retry-after': value }), user);
      await expect(issuer.passage().user.get('user1')).resolves.toBeDefined();
    },
  );

  it('treats an unusual 5xx as an outage', async () => {
    await using issuer = await Issuer.start();
    issuer.answer = json({}, 520);
    await expect(issuer.passage().user.get('user1')).rejects.toMatchObject(unavailable);
  });

  it('follows no redirect with the key', async () => {
    await using issuer = await Issuer.start();
    issuer.answer = json({}, 307, { location: `${issuer.baseUrl}/elsewhere` });
    await expect(issuer.passage().user.get('user1')).rejects.toMatchObject(unavailable);
    expect(issuer.requests.map(({ url }) => url)).not.toContain('/elsewhere');
  });

  it('reads at most 1 MB', async () => {
    await using issuer = await Issuer.start();
    const of = (length: number) =>
      json({ user: { id: 'user1', status: 'active', email: 'x'.repeat(length) } });
    issuer.answer = of(1_000_000);
    await expect(issuer.passage().user.get('user1')).resolves.toBeDefined();
    issuer.answer = of(1_100_000);
    await expect(issuer.passage().user.get('user1')).rejects.toMatchObject(unavailable);
  });

  it('reads at most 1 MB of a compressed answer', async () => {
    await using issuer = await Issuer.start();
    const { gzipSync } = await import('node:zlib');
    const of =
      (length: number): Answer =>
      (_request, response) => {
        const body = gzipSync(JSON.stringify({ user: { id: 'user1', email: 'x'.repeat(length) } }));
        response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.length }).end(body);
      };
    issuer.answer = of(1_000_000);
    await expect(issuer.passage().user.get('user1')).resolves.toBeDefined();
    issuer.answer = of(1_100_000);
    await expect(issuer.passage().user.get('user1')).rejects.toMatchObject(unavailable);
  });

  it('reads an answer of unknown length', async () => {
    await using issuer = await Issuer.start();
    issuer.answer = (_request, response) => {
      response.write('{"user":{"id":"user1",');
      response.end('"email":"ä@example.com"}}');
    };
    await expect(issuer.passage().user.get('user1')).resolves.toMatchObject({ email: 'ä@example.com' });
  });

  it('limits the time of each of many calls, and fails none for another', async () => {
    await using issuer = await Issuer.start();
    issuer.answer = (request, response) => {
      const id = request.url?.split('/').at(-1);
      if (id !== 'slow') json({ user: { id } })(request, response);
    };
    const passage = issuer.passage({ timeout: 2000 });
    const slow = Promise.allSettled(Array.from({ length: 3 }, () => passage.user.get('slow')));
    const quick = Array.from({ length: 150 }, (_, index) => passage.user.get(`user${index}`));
    await expect(Promise.all(quick)).resolves.toHaveLength(150);
    for (const { status } of await slow) expect(status).toBe('rejected');
    // What has ended leaves no deadline behind that would end a later call.
    await expect(passage.user.get('user1')).resolves.toMatchObject({ id: 'user1' });
  });

  it('does not make Node warn of leaking listeners while one of many calls is slow', async () => {
    await using issuer = await Issuer.start();
    const answer = () => Response.json({ user: { id: 'user1' } });
    let end = (_answer: Response) => {};
    const slow = new Promise<Response>((resolve) => {
      end = resolve;
    });
    let calls = 0;
    const fetch = (input: string | URL | Request, init?: RequestInit) => {
      // What Node's fetch does with the signal.
      new Request(input, init);
      return calls++ === 0 ? slow : Promise.resolve(answer());
    };
    const passage = issuer.passage({ fetch, timeout: 9_000 });
    const warnings: Error[] = [];
    const collect = (warning: Error) => warnings.push(warning);
    process.on('warning', collect);
    const first = passage.user.get('user1');
    for (let turn = 0; turn < 1_600; turn += 1) await passage.user.get('user1');
    end(answer());
    await first;
    process.off('warning', collect);
    expect(warnings).toEqual([]);
  });

  it.each<[string, Answer]>([
    ['an answer', () => {}],
    ['the end of a body', (_request, response) => response.writeHead(200).write('{"user":')],
  ])('waits for %s only so long', async (_name, answer) => {
    await using issuer = await Issuer.start();
    issuer.answer = answer;
    await expect(issuer.passage({ timeout: 50 }).user.get('user1')).rejects.toMatchObject(unavailable);
    expect(issuer.requests).toHaveLength(2);
  });

  it('ends when its signal says so, with the reason of the signal', async () => {
    await using issuer = await Issuer.start();
    const aborter = new AbortController();
    const reason = new Error('no longer needed');
    issuer.answer = () => aborter.abort(reason);
    await expect(issuer.passage().user.get('user1', { signal: aborter.signal })).rejects.toBe(reason);
    await expect(issuer.passage().user.get('user1', { signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
    expect(issuer.requests).toHaveLength(1);
  });

  it('does not wait for a retry whose caller has gone', async () => {
    await using issuer = await Issuer.start();
    const aborter = new AbortController();
    issuer.answer = (request, response) => {
      json({}, 503, { 'retry-after': '2' })(request, response);
      response.on('close', () => aborter.abort());
    };
    const started = performance.now();
    await expect(issuer.passage().user.get('user1', { signal: aborter.signal })).rejects.toThrow(
      DOMException,
    );
    expect(performance.now() - started).toBeLessThan(1500);
  });

  it('shows the API key in no error', async () => {
    await using issuer = await Issuer.start();
    const { inspect } = await import('node:util');
    for (const answer of [
      destroyed,
      json({}, 500, { 'retry-after': '0' }),
      json({}, 401),
      json(null),
      json({}, 302),
    ]) {
      issuer.answer = answer;
      const error = await issuer
        .passage()
        .user.get('user1')
        .catch((thrown: unknown) => thrown);
      expect(inspect(error, { depth: null, showHidden: true, getters: true })).not.toContain('key.secret');
    }
  });

  it('is given up on after 10 seconds in all', async () => {
    await using issuer = await Issuer.start();
    const { vi } = await import('vitest');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      const never: typeof fetch = () => new Promise(() => {});
      const call = issuer.passage({ timeout: 10_000, fetch: never }).user.get('user1');
      const outcome = expect(call).rejects.toMatchObject(unavailable);
      await vi.advanceTimersByTimeAsync(9_999);
      await vi.advanceTimersByTimeAsync(1);
      await outcome;
    } finally {
      vi.useRealTimers();
    }
  });
});
