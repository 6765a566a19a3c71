import type { ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type Http2ServerResponse } from 'node:http2';
import express from 'express';
// @ts-expect-error Types of the alias would be those of Express 4, which the app below is not written for.
import express4 from 'express4';
// @ts-expect-error It has no types.
import http2Express from 'http2-express';
import { type StartApp, testAdapter } from '../../../tests/contract/contract.ts';
import { listen } from '../../../tests/contract/listen.ts';
import { isPassageError, passageAuth, passageErrors, requirePrincipal, withPrincipal } from './index.ts';

const startWith =
  (create: () => express.Express, makeServer?: typeof createHttp2Server): StartApp =>
  ({ options, reached }) => {
    const app = create();
    const me = withPrincipal((req, res) => {
      res.json({ userId: req.passage.userId, email: req.passage.user.email });
    });
    const protect = passageAuth(options);
    const count: express.RequestHandler = (_req, _res, next) => {
      reached();
      next();
    };
    app.get('/anyone', passageAuth({ ...options, optional: true }), (req, res) => {
      res.json({ userId: req.passage?.userId ?? null });
    });
    app.get('/forgotten', (req, res) => {
      res.json({ userId: requirePrincipal(req).userId });
    });
    app.use(protect);
    app.get('/me', count, me);
    app.post('/me', count, me);
    app.all('/any-method', count, (req, res) => {
      res.json({ userId: req.passage?.userId });
    });
    app.all('/answers-preflights', (_req, res) => {
      res.json({});
    });
    app.use(passageErrors());
    return listen(app, makeServer?.());
  };

testAdapter('Express 5', startWith(express));
testAdapter('Express 4', startWith(express4));
// Express alone ends the process at the first request of HTTP/2.
testAdapter(
  'Express 5 over HTTP/2, by http2-express',
  startWith(() => http2Express(express), createHttp2Server),
  { http2: true },
);
testAdapter('the middleware on node:http2, without Express', startRaw, { http2: true });

/** Serves the routes with nothing but the middleware, as frameworks with the same signature call it. */
async function startRaw({ options, reached }: Parameters<StartApp>[0]): ReturnType<StartApp> {
  const protect = passageAuth(options);
  const accept = passageAuth({ ...options, optional: true });
  const open: express.RequestHandler = (_req, _res, next) => next();
  const routes: Record<string, (req: express.Request) => unknown> = {
    '/me': (req) => {
      reached();
      const { userId, user } = requirePrincipal(req);
      return { userId, email: user.email };
    },
    '/any-method': (req) => {
      reached();
      return { userId: req.passage?.userId };
    },
    '/answers-preflights': () => ({}),
    '/anyone': (req) => ({ userId: req.passage?.userId ?? null }),
    '/forgotten': (req) => ({ userId: requirePrincipal(req).userId }),
  };
  const guards: Record<string, express.RequestHandler> = { '/anyone': accept, '/forgotten': open };
  return listen((req: express.Request, res: Http2ServerResponse) => {
    const [path = ''] = req.url.split('?');
    const send = (status: number, body: unknown, headers = {}) =>
      res.writeHead(status, { ...headers, 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    const answer = (error?: unknown) => {
      try {
        if (error) throw error;
        const route = routes[path];
        if (!route || (path === '/me' && !/^(?:GET|HEAD|POST)$/.test(req.method))) return send(404, {});
        return send(200, route(req));
      } catch (thrown) {
        return isPassageError(thrown) ? send(thrown.status, thrown, thrown.headers) : send(500, {});
      }
    };
    void (guards[path] ?? protect)(req, res as unknown as express.Response & ServerResponse, answer);
  }, createHttp2Server());
}
