import { createServer as createHttp2Server } from 'node:http2';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { type Setup, testAdapter } from '../../../tests/contract/contract.ts';
import { listen } from '../../../tests/contract/listen.ts';
import { passageAuth, requirePrincipal } from './index.ts';

testAdapter('Hono', async (setup) => listen(getRequestListener(createApp(setup).fetch)));

testAdapter(
  'Hono over HTTP/2',
  async (setup) => listen(getRequestListener(createApp(setup).fetch), createHttp2Server()),
  { http2: true },
);

function createApp({ options, reached }: Setup): Hono {
  const app = new Hono();
  app.get('/anyone', passageAuth({ ...options, optional: true }), (c) =>
    c.json({ userId: c.var.passage?.userId ?? null }),
  );
  app.get('/forgotten', (c) => c.json({ userId: requirePrincipal(c.var).userId }));
  app.use(passageAuth(options));
  app.on(['GET', 'POST'], '/me', (c) => {
    reached();
    const { userId, user } = requirePrincipal(c.var);
    return c.json({ userId, email: user.email });
  });
  app.all('/any-method', (c) => {
    reached();
    return c.json({ userId: c.var.passage?.userId });
  });
  app.all('/answers-preflights', (c) => c.json({}));
  return app;
}
