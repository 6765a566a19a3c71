// @ts-check
/**
 * What `GET /livez` is compared with: the same content by Hono and its server for Node, `node hono.mjs`. `GET /headers/livez` has the
 * headers of our answer too.
 *
 * @module
 */
import { randomUUID } from 'node:crypto';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

const app = new Hono();
app.get('/livez', (context) => context.json({ status: 'ok' }));
app.get('/headers/livez', (context) =>
  context.json({ status: 'ok' }, 200, {
    'X-Request-Id': randomUUID(),
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
  }),
);
process.on('disconnect', () => process.exit());
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => process.send?.(port));
