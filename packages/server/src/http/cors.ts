import type { Hono } from 'hono';
import { requireApp } from '../apps/apps.ts';
import { isAllowedOrigin } from '../apps/origins.ts';
import { WireError } from '../errors.ts';
import type { Service } from '../service.ts';
import type { HttpEnvironment } from './routes.ts';

const allowedHeaders = ['authorization', 'content-type', 'passage-version', 'passage-element-version'];

/** Pages of the app's origins may call the Auth API; those of others may not even change anything. The Management API is not for pages. */
export function addCors(hono: Hono<HttpEnvironment>, service: Service): void {
  hono.use('/auth/v1/apps/:app_id/*', async (context, next) => {
    const origin = context.req.header('origin');
    if (origin === undefined) return next();
    const app = await requireApp(service, context.req.param('app_id'));
    const allowed = isAllowedOrigin(service, app, origin);
    const preflight = context.req.method === 'OPTIONS';
    const safe = preflight || context.req.method === 'GET' || context.req.method === 'HEAD';
    if (!allowed && !safe) throw new WireError('operation_not_allowed', 'Origin is not allowed');
    if (preflight) context.res = new Response(null, { status: 204 });
    else await next();
    // Set last, so that refusals carry them too: the page is to read why.
    const { headers } = context.res;
    headers.append('Vary', 'Origin');
    if (!allowed) return;
    headers.set('Access-Control-Allow-Origin', origin);
    headers.set('Access-Control-Expose-Headers', 'Retry-After');
    if (!preflight) return;
    headers.set('Access-Control-Allow-Methods', 'GET, POST, PATCH, DELETE');
    headers.set('Access-Control-Allow-Headers', allowedHeaders.join(', '));
    headers.set('Access-Control-Max-Age', '600');
  });
}
