import { startPassage } from '@passage-auth/testing';
import express from 'express';
import serverless from 'serverless-http';
import { describe, expect, it } from 'vitest';
import { listen } from '../../../tests/contract/listen.ts';
import { type PassageError, passageAuth, passageErrors, requirePrincipal } from './index.ts';

describe('passageErrors', () => {
  it('gives outages with their cause to `onError`, and never the mistakes of callers', async () => {
    await using passage = await startPassage();
    const seen: unknown[] = [];
    const app = express();
    app.use(passageAuth(passage.options));
    app.use(passageErrors({ onError: (error, req) => seen.push([error.code, error.cause, req.url]) }));
    const server = await listen(app);
    const { headers } = await passage.signIn('ada@example.com');
    const statusOf = async (sent: object) =>
      (await fetch(`${server.origin}/me`, { headers: { ...sent } })).status;
    expect(await statusOf({})).toBe(401);
    expect(await statusOf({ authorization: 'Bearer x' })).toBe(401);
    expect(seen).toEqual([]);
    using _keys = passage.fault('jwks', 'unreachable');
    expect(await statusOf(headers)).toBe(503);
    expect(seen).toEqual([['ERR_PASSAGE_UNAVAILABLE', expect.any(Error), '/me']]);
    await server.close();
  });

  it('is refused with an `onError` that is no function', () => {
    expect(() => passageErrors({ onError: console as never })).toThrow('"onError" option must be a function');
  });
});

describe('on a function platform', () => {
  it('authenticates the request that serverless-http makes', async () => {
    await using passage = await startPassage();
    const app = express();
    app.get('/me', passageAuth(passage.options), (req, res) => {
      res.json({ userId: requirePrincipal(req).userId });
    });
    app.use(passageErrors());
    const handler = serverless(app);
    const { headers, userId } = await passage.signIn('ada@example.com');
    const call = async (sent: object) => {
      const event = { httpMethod: 'GET', path: '/me', headers: sent, requestContext: {}, body: null };
      const { statusCode, body } = (await handler(event, {})) as { statusCode: number; body: string };
      return [statusCode, JSON.parse(body)];
    };
    expect(await call({ Authorization: headers.authorization })).toEqual([200, { userId }]);
    expect(await call({})).toEqual([401, expect.objectContaining({ code: 'ERR_PASSAGE_UNAUTHENTICATED' })]);
  });

  it.each([null, undefined, {}])('reads the raw headers where the others are %j', async (headers) => {
    await using passage = await startPassage();
    const { headers: sent, userId } = await passage.signIn('ada@example.com');
    const protect = passageAuth(passage.options);
    const ask = (rawHeaders: string[] | null) => {
      const req = { method: 'GET', headers, rawHeaders, passage: undefined } as unknown as express.Request;
      return new Promise((resolve) => {
        void protect(req, {} as express.Response, (error?: unknown) =>
          resolve((error as PassageError | undefined)?.code ?? req.passage?.userId),
        );
      });
    };
    expect(await ask(['Authorization', sent.authorization])).toBe(userId);
    expect(await ask(null)).toBe('ERR_PASSAGE_UNAUTHENTICATED');
  });
});
