// @ts-check
/**
 * What `GET /livez` is compared with: the same answer by Hono and its server for Node, `node hono.mjs`.
 *
 * @module
 */
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

const app = new Hono();
app.get('/livez', (context) => context.json({ status: 'ok' }));
process.on('disconnect', () => process.exit());
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => process.send?.(port));
