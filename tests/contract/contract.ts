/**
 * The promises of the seam, tested once on every adapter. A bug found in one of them becomes a case here.
 *
 * @module
 */
import {
  type AdapterOptions,
  type Authorize,
  type PassageErrorCode,
  type TokenSource,
  UnauthenticatedError,
} from '@passage-auth/core';
import { startPassage, type TestPassage } from '@passage-auth/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Answer, type Call, send, sendHttp2 } from './http.ts';

/** What an app under test is made with. */
export interface Setup {
  options: AdapterOptions;
  /** To be called first thing in the handlers of `/me` and `/any-method`. */
  reached: () => void;
  /** Gets the log of the framework, where it does not go to the console. */
  log: { write(text: string): void };
}

export interface RunningApp {
  /** For example `http://127.0.0.1:1234`. */
  origin: string;
  close(): Promise<unknown> | unknown;
}

/**
 * Starts an app with these routes, each answering JSON:
 *
 * - `GET /me` and `POST /me`, protected: `{ userId, email }`, both of the Passage user
 * - `/any-method`, protected, every method: `{ userId }`
 * - `/answers-preflights`, protected, every method: `{}`
 * - `GET /anyone`, optional: `{ userId }`, or `null`
 * - `GET /forgotten`, not protected, whose handler calls `requirePrincipal`: `{ userId }`
 */
export type StartApp = (setup: Setup) => Promise<RunningApp>;

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];

// How routers read paths differently from guards: each of these has been a bypass somewhere.
const paths = ['/me', '//me', '/me/', '/me//', '/ME', '/%6de', '/%6De/', '/me?x=/anyone', '/me;x', '/me%2f']
  .concat([
    '/./me',
    '/anyone/../me',
    '/anyone/%2e%2e/me',
    '/me%00',
    '/me.json',
    '/me#x',
    '/\\me',
    '/me/..;/me',
  ])
  .concat(['/any-method', '//any-method', '/any-method/', '/ANY-METHOD', '/any%2dmethod', '/any-method?a=b']);

/**
 * Runs the contract against an adapter.
 *
 * @param http2 The app speaks HTTP/2, without TLS, and nothing else.
 */
export function testAdapter(name: string, start: StartApp, { http2 = false } = {}): void {
  describe(`the contract, kept by ${name}`, () => {
    let passage: TestPassage;
    let origin: string;
    let reached: number;
    let output: string;
    const apps: RunningApp[] = [];

    async function startApp(options: AdapterOptions = {}): Promise<void> {
      const log = {
        write(text: string) {
          output += text;
        },
      };
      const setup = { options: { ...passage.options, ...options }, reached: () => void reached++, log };
      const app = await start(setup);
      apps.push(app);
      origin = app.origin;
    }

    const call = (path: string, options?: Call) => (http2 ? sendHttp2 : send)(origin, path, options);

    beforeEach(async () => {
      passage = await startPassage();
      reached = 0;
      output = '';
      const keep = (...args: unknown[]) => {
        output += args.map(String).join(' ');
        return true;
      };
      for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
        vi.spyOn(console, method).mockImplementation(keep);
      }
      vi.spyOn(process.stdout, 'write').mockImplementation(keep);
      vi.spyOn(process.stderr, 'write').mockImplementation(keep);
    });

    afterEach(async () => {
      vi.restoreAllMocks();
      for (const app of apps.splice(0)) await app.close();
      await passage.close();
    });

    it('lets a signed-in user through, with the user attached', async () => {
      await startApp();
      const { token, user } = await signIn(passage);
      const answer = await call('/me', { headers: { authorization: `Bearer ${token}` } });
      expect(JSON.parse(answer.text)).toEqual({ userId: user.id, email: user.email });
      expect(answer.status).toBe(200);
      expect(reached).toBe(1);
    });

    it('asks for credentials where there are none, without an error code', async () => {
      await startApp();
      const answer = await call('/me');
      expectRefusal(answer, 401, 'ERR_PASSAGE_UNAUTHENTICATED');
      expect(answer.headers['www-authenticate']).toBe('Bearer');
      expect(reached).toBe(0);
    });

    it('takes credentials of another scheme for none', async () => {
      await startApp();
      const answer = await call('/me', { headers: { authorization: 'Basic YTpi' } });
      expectRefusal(answer, 401, 'ERR_PASSAGE_UNAUTHENTICATED');
    });

    it('refuses every kind of bad token as invalid', async () => {
      await startApp();
      for (const bad of await passage.badTokens()) {
        for (const path of ['/me', '/anyone', '/any-method']) {
          const answer = await call(path, { headers: { ...bad.headers } });
          expectRefusal(answer, 401, 'ERR_PASSAGE_INVALID_TOKEN', `${bad.name} at ${path}`);
          expect(answer.headers['www-authenticate']).toMatch(
            /^Bearer error="invalid_token", error_description="/,
          );
        }
      }
      expect(reached).toBe(0);
    });

    // Over HTTP/2, fields that end with a blank do not arrive (RFC 9113 §8.2.1).
    it.each(['Bearer', 'Bearer a b', 'Bearer a,b', ...(http2 ? [] : ['Bearer '])])(
      'refuses the header "%s" as malformed',
      async (value) => {
        await startApp();
        for (const path of ['/me', '/anyone']) {
          const answer = await call(path, { headers: { authorization: value } });
          expectRefusal(answer, 400, 'ERR_PASSAGE_INVALID_REQUEST');
          expect(answer.headers['www-authenticate']).toBe('Bearer error="invalid_request"');
        }
        expect(reached).toBe(0);
      },
    );

    // Node's client of HTTP/2 cannot send it.
    if (!http2) {
      it('refuses a repeated Authorization header', async () => {
        await startApp();
        const { token } = await signIn(passage);
        const value = `Bearer ${token}`;
        for (const values of [
          [value, value],
          [value, 'Bearer x'],
          ['Bearer x', value],
          [value, 'Basic YTpi'],
        ]) {
          const answer = await call('/me', { headers: { authorization: values } });
          expectRefusal(answer, 400, 'ERR_PASSAGE_INVALID_REQUEST');
        }
        expect(reached).toBe(0);
        expect((await call('/me', { headers: { authorization: [value] } })).status).toBe(200);
      });
    }

    describe('optional', () => {
      it('lets requests without credentials pass, and says who the others are', async () => {
        await startApp();
        const { token, user } = await signIn(passage);
        const anonymous = await call('/anyone');
        expect([anonymous.status, JSON.parse(anonymous.text)]).toEqual([200, { userId: null }]);
        const known = await call('/anyone', { headers: { authorization: `Bearer ${token}` } });
        expect([known.status, JSON.parse(known.text)]).toEqual([200, { userId: user.id }]);
      });

      it('does not swallow an outage', async () => {
        await startApp();
        const { token } = await signIn(passage);
        using _outage = passage.fault('jwks', 'unreachable');
        const answer = await call('/anyone', { headers: { authorization: `Bearer ${token}` } });
        expectRefusal(answer, 503, 'ERR_PASSAGE_UNAVAILABLE');
        expect((await call('/anyone')).status).toBe(200);
      });

      it('does not swallow a deactivated user', async () => {
        await startApp();
        const { token, user } = await signIn(passage);
        await passage.admin.user.deactivate(user.id);
        const answer = await call('/anyone', { headers: { authorization: `Bearer ${token}` } });
        expectRefusal(answer, 403, 'ERR_PASSAGE_USER_INACTIVE');
      });
    });

    describe('authorize', () => {
      it.each<[string, Authorize, number]>([
        ['true', () => true, 200],
        ['a promise of true', async () => true, 200],
        ['what is known of the user', ({ user }) => user.email.endsWith('@example.com'), 200],
        ['false', () => false, 403],
        ['a promise of false', async () => false, 403],
        ['nothing', () => undefined as never, 403],
        ['something that is only like true', () => 'yes' as never, 403],
      ])('lets a user on only with true: it returns %s', async (_name, authorize, status) => {
        await startApp({ authorize });
        const { token } = await signIn(passage);
        for (const path of ['/me', '/any-method', '/anyone']) {
          const answer = await call(path, { headers: { authorization: `Bearer ${token}` } });
          expect(answer.status, path).toBe(status);
          if (status === 200) continue;
          expectRefusal(answer, 403, 'ERR_PASSAGE_FORBIDDEN', path);
          expect(answer.headers['www-authenticate']).toBeUndefined();
        }
        expect(reached).toBe(status === 200 ? 2 : 0);
      });

      it('asks for credentials before it asks the function, also where they are optional', async () => {
        let asked = 0;
        await startApp({ authorize: () => ++asked > 0 });
        for (const path of ['/me', '/anyone']) {
          expectRefusal(await call(path), 401, 'ERR_PASSAGE_UNAUTHENTICATED');
          const bad = await call(path, { headers: { authorization: 'Bearer x' } });
          expectRefusal(bad, 401, 'ERR_PASSAGE_INVALID_TOKEN');
        }
        expect([asked, reached]).toEqual([0, 0]);
      });

      it('passes on what it throws, at once and later', async () => {
        for (const fail of [
          () => {
            throw new UnauthenticatedError();
          },
          () => Promise.reject(new UnauthenticatedError()),
        ]) {
          await startApp({ authorize: fail });
          const { token } = await signIn(passage);
          const answer = await call('/me', { headers: { authorization: `Bearer ${token}` } });
          expectRefusal(answer, 401, 'ERR_PASSAGE_UNAUTHENTICATED');
        }
        await startApp({ authorize: () => Promise.reject(new Error('the database is away')) });
        const { token } = await signIn(passage);
        const answer = await call('/me', { headers: { authorization: `Bearer ${token}` } });
        expect(answer.status).toBe(500);
        expect(reached).toBe(0);
      });

      it.each<[string, AdapterOptions]>([
        ['authorize', { authorize: 'admin' as never }],
        ['optional', { optional: 'yes' as never }],
        ['loadUser', { loadUser: 'no' as never }],
      ])('refuses to start with "%s" of another type', async (option, options) => {
        await expect((async () => startApp(options))()).rejects.toThrow(`"${option}" option`);
      });
    });

    describe('what cannot be told', () => {
      it('is 503 with Retry-After while keys are out of reach, and 200 afterwards', async () => {
        await startApp();
        const { token } = await signIn(passage);
        const headers = { authorization: `Bearer ${token}` };
        const outage = passage.fault('jwks', 'unreachable');
        const answer = await call('/me', { headers });
        expectRefusal(answer, 503, 'ERR_PASSAGE_UNAVAILABLE');
        expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
        expect(answer.headers['www-authenticate']).toBeUndefined();
        expect(reached).toBe(0);
        outage.end();
        passage.advance('1m');
        expect((await call('/me', { headers })).status).toBe(200);
      });

      it.each([
        ['unreachable', 503, 'ERR_PASSAGE_UNAVAILABLE'],
        [{ status: 500 }, 503, 'ERR_PASSAGE_UNAVAILABLE'],
        [{ status: 429, retryAfter: 60 }, 503, 'ERR_PASSAGE_UNAVAILABLE'],
        [{ status: 401 }, 502, 'ERR_PASSAGE_API'],
        [{ status: 403 }, 502, 'ERR_PASSAGE_API'],
      ] as const)('is never the fault of the caller: %o of the API is %i', async (fault, status, code) => {
        await startApp();
        const { token } = await signIn(passage);
        using _fault = passage.fault('api', fault);
        const answer = await call('/me', { headers: { authorization: `Bearer ${token}` } });
        expectRefusal(answer, status, code);
        expect(answer.headers['www-authenticate']).toBeUndefined();
        expect(answer.headers['retry-after'] !== undefined).toBe(status === 503);
        expect(reached).toBe(0);
      });
    });

    describe('users', () => {
      it('refuses a deactivated user, whose token is still good', async () => {
        await startApp();
        const { token, user } = await signIn(passage);
        await passage.admin.user.deactivate(user.id);
        const headers = { authorization: `Bearer ${token}` };
        const answer = await call('/me', { headers });
        expectRefusal(answer, 403, 'ERR_PASSAGE_USER_INACTIVE');
        expect(reached).toBe(0);
        await passage.admin.user.activate(user.id);
        passage.advance('1m');
        expect((await call('/me', { headers })).status).toBe(200);
      });

      it('refuses a deleted user, whose token is still good', async () => {
        await startApp();
        const { token, user } = await signIn(passage);
        await passage.admin.user.delete(user.id);
        const answer = await call('/me', { headers: { authorization: `Bearer ${token}` } });
        expectRefusal(answer, 401, 'ERR_PASSAGE_INVALID_TOKEN');
        expect(answer.headers['www-authenticate']).toMatch(/error="invalid_token"/);
        expect(reached).toBe(0);
      });

      it('does not load the user with loadUser: false', async () => {
        await startApp({ loadUser: false });
        const { token, user } = await signIn(passage);
        const answer = await call('/any-method', { headers: { authorization: `Bearer ${token}` } });
        expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { userId: user.id }]);
        expect(passage.requests).toEqual({ jwks: 1, api: 0 });
      });
    });

    describe('the cookie', () => {
      const cookie = 'psg_auth_token';
      const csrf = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' };

      it('is not looked at unless it is named', async () => {
        await startApp();
        const { token } = await signIn(passage);
        const answer = await call('/me', { headers: { cookie: `${cookie}=${token}` } });
        expectRefusal(answer, 401, 'ERR_PASSAGE_UNAUTHENTICATED');
      });

      it('lets its user read, from wherever', async () => {
        await startApp({ cookie });
        const { token } = await signIn(passage);
        const headers = { cookie: `a=b; ${cookie}=${token}` };
        expect((await call('/me', { headers })).status).toBe(200);
        expect((await call('/me', { headers: { ...headers, ...csrf } })).status).toBe(200);
        expect((await call('/me', { method: 'HEAD', headers })).status).toBe(200);
      });

      it('lets its user change something from the same origin only', async () => {
        await startApp({ cookie });
        const { token } = await signIn(passage);
        const headers = { cookie: `${cookie}=${token}`, 'content-length': 0 };
        const method = 'POST';
        const same = await call('/me', { method, headers: { ...headers, 'sec-fetch-site': 'same-origin' } });
        expect([200, 201]).toContain(same.status);
        expect(reached).toBe(1);
        for (const from of [csrf, { 'sec-fetch-site': 'same-site' }, {}]) {
          const answer = await call('/me', { method, headers: { ...headers, ...from } });
          expectRefusal(answer, 400, 'ERR_PASSAGE_INVALID_REQUEST');
        }
        expect(reached).toBe(1);
      });
    });

    describe('the token source', () => {
      it.each([undefined, null, ''])('has found no credentials when it returns %j', async (nothing) => {
        await startApp({ tokenSource: () => nothing });
        const { token } = await signIn(passage);
        const headers = { authorization: `Bearer ${token}` };
        expectRefusal(await call('/me', { headers }), 401, 'ERR_PASSAGE_UNAUTHENTICATED');
        const guest = await call('/anyone', { headers });
        expect([guest.status, JSON.parse(guest.text)]).toEqual([200, { userId: null }]);
      });

      it('says where the token is', async () => {
        const tokenSource: TokenSource = (headers) =>
          typeof headers.get === 'function'
            ? headers.get('x-token')
            : (headers as Record<string, string>)['x-token'];
        await startApp({ tokenSource });
        const { token, user } = await signIn(passage);
        const answer = await call('/any-method', { headers: { 'x-token': token } });
        expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { userId: user.id }]);
        expectRefusal(await call('/me', { headers: { 'x-token': 'x' } }), 401, 'ERR_PASSAGE_INVALID_TOKEN');
      });
    });

    describe('methods and paths', () => {
      it('guards HEAD like GET', async () => {
        await startApp();
        const { token } = await signIn(passage);
        const refused = await call('/me', { method: 'HEAD' });
        expect([refused.status, refused.headers['www-authenticate'], refused.text]).toEqual([
          401,
          'Bearer',
          '',
        ]);
        expect(reached).toBe(0);
        const headers = { authorization: `Bearer ${token}` };
        expect((await call('/me', { method: 'HEAD', headers })).status).toBe(200);
      });

      it('lets a CORS preflight pass to whoever answers it, and not to the handler', async () => {
        await startApp();
        const preflight = { origin: 'https://app.example', 'access-control-request-method': 'GET' };
        expect((await call('/me', { method: 'OPTIONS', headers: preflight })).status).not.toBe(401);
        expect(reached).toBe(0);
      });

      it('lets a CORS preflight pass to a route that answers it by itself', async () => {
        await startApp();
        const headers = { origin: 'https://app.example', 'access-control-request-method': 'POST' };
        const answer = await call('/answers-preflights', { method: 'OPTIONS', headers });
        expect([answer.status, answer.text]).toEqual([200, '{}']);
        // The twins: what only looks like one.
        for (const method of ['POST', 'OPTIONS']) {
          const other = await call('/answers-preflights', { method, headers: { origin: headers.origin } });
          expectRefusal(other, 401, 'ERR_PASSAGE_UNAUTHENTICATED');
        }
      });

      it.each([
        ['OPTIONS', {}],
        ['OPTIONS', { origin: 'https://app.example' }],
        ['OPTIONS', { 'access-control-request-method': 'GET' }],
        ['GET', { origin: 'https://app.example', 'access-control-request-method': 'GET' }],
      ])('takes %s with %o for no preflight', async (method, headers) => {
        await startApp();
        const answer = await call('/any-method', { method, headers });
        expectRefusal(answer, 401, 'ERR_PASSAGE_UNAUTHENTICATED');
        expect(reached).toBe(0);
      });

      it.each(methods)(
        'never lets %s reach a handler without credentials, however the path is spelled',
        async (method) => {
          await startApp();
          for (const path of paths) {
            const answer = await call(path, { method, headers: { 'content-length': 0 } });
            expect(reached, `${method} ${path} was answered ${answer.status}`).toBe(0);
          }
          // The twin: with credentials the same request gets there.
          const { token } = await signIn(passage);
          const headers = { authorization: `Bearer ${token}`, 'content-length': 0 };
          const answer = await call('/any-method', { method, headers });
          expect(answer.status).toBeLessThan(300);
          expect(reached).toBe(1);
        },
      );

      it('fails closed in a handler whose protection was forgotten', async () => {
        await startApp();
        const { token } = await signIn(passage);
        const answer = await call('/forgotten', { headers: { authorization: `Bearer ${token}` } });
        expectRefusal(answer, 401, 'ERR_PASSAGE_UNAUTHENTICATED');
      });
    });

    describe('many at once', () => {
      it('never takes one user for another', async () => {
        await startApp({ loadUser: false });
        const slow = passage.fault('jwks', 'slow');
        const answers = Array.from({ length: 200 }, async (_, index) => {
          const authorization = `Bearer ${passage.signToken({ sub: `user-${index}` })}`;
          return JSON.parse((await call('/any-method', { headers: { authorization } })).text);
        });
        await slow.reached;
        slow.end();
        expect(await Promise.all(answers)).toEqual(answers.map((_, index) => ({ userId: `user-${index}` })));
      });

      it('never gives one user the record of another', async () => {
        await startApp();
        const sessions = await Promise.all(Array.from({ length: 10 }, () => signIn(passage)));
        const slow = passage.fault('api', 'slow');
        const calls = Array.from({ length: 20 }, () => sessions).flat();
        const answers = calls.map(async ({ token }) =>
          JSON.parse((await call('/me', { headers: { authorization: `Bearer ${token}` } })).text),
        );
        await slow.reached;
        slow.end();
        const expected = calls.map(({ user }) => ({ userId: user.id, email: user.email }));
        expect(await Promise.all(answers)).toEqual(expected);
      });

      it('keeps serving after a client went away while it was authenticated', async () => {
        await startApp();
        const { token } = await signIn(passage);
        const headers = { authorization: `Bearer ${token}` };
        const slow = passage.fault('jwks', 'slow');
        const client = new AbortController();
        const aborted = call('/me', { headers, signal: client.signal });
        await slow.reached;
        client.abort();
        await expect(aborted).rejects.toThrow();
        slow.end();
        expect((await call('/me', { headers })).status).toBe(200);
      });
    });

    it('never shows a token or the API key: not in answers, not in logs', async () => {
      await startApp();
      const { token } = await signIn(passage);
      const { apiKey } = passage.options;
      const tokens = [token, ...(await passage.badTokens()).map((bad) => bad.token)];
      let shown = '';
      const show = ({ headers, text }: Answer) => {
        shown += JSON.stringify(headers) + text;
      };
      for (const authorization of [...tokens, `${token} x`, 'c2VjcmV0'].map((text) => `Bearer ${text}`)) {
        show(await call('/me', { headers: { authorization } }));
      }
      for (const target of ['jwks', 'api'] as const) {
        for (const kind of ['unreachable', { status: 500 }, { status: 401 }] as const) {
          using _fault = passage.fault(target, kind);
          passage.advance('2m');
          show(await call('/me', { headers: { authorization: `Bearer ${token}` } }));
        }
      }
      // The header of a token is no secret, and parts of the bad ones are too short to tell.
      const secrets = [apiKey, 'c2VjcmV0', ...tokens.flatMap((text) => text.split('.').slice(1))];
      for (const secret of secrets.filter((part = '') => part.length > 7)) {
        expect(shown).not.toContain(secret);
        expect(output).not.toContain(secret);
      }
      expect(shown).not.toMatch(/node_modules|\.ts:\d/);
    });
  });
}

async function signIn(passage: TestPassage) {
  const user = await passage.createUser();
  const { token } = await passage.signIn(user);
  return { token, user };
}

function expectRefusal(answer: Answer, status: number, code: PassageErrorCode, what?: string): void {
  expect(answer.status, what).toBe(status);
  expect(JSON.parse(answer.text), what).toMatchObject({ code });
  expect(answer.headers['content-type']).toMatch(/^application\/json/);
}
