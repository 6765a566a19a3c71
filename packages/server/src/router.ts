import { Hono } from 'hono';
import { findOnlyApp, isAllowedOrigin, requireApp } from './apps/apps.ts';
import { absentRoutes } from './auth/absent.ts';
import { appRoutes } from './auth/app.ts';
import { codeRoutes } from './auth/codes.ts';
import { currentUserRoutes } from './auth/currentuser.ts';
import { linkRoutes } from './auth/links.ts';
import { passkeyRoutes } from './auth/passkeys.ts';
import { tokenRoutes } from './auth/tokens.ts';
import { userRoutes } from './auth/users.ts';
import { WireError } from './errors.ts';
import { type Environment, mountRoutes, type Route } from './http/routes.ts';
import { addSystemRoutes } from './http/system.ts';
import { appRoutes as managedAppRoutes } from './management/app.ts';
import { linkRoutes as managedLinkRoutes } from './management/links.ts';
import { listRoutes } from './management/list.ts';
import { userRoutes as managedUserRoutes } from './management/users.ts';
import { pages } from './pages/pages.ts';
import type { Client, Service } from './service.ts';

export const authRoutes: readonly Route[] = [
  ...appRoutes,
  ...userRoutes,
  ...passkeyRoutes,
  ...codeRoutes,
  ...linkRoutes,
  ...tokenRoutes,
  ...currentUserRoutes,
  ...absentRoutes,
];

export const managementRoutes: readonly Route[] = [
  ...managedAppRoutes,
  ...listRoutes,
  ...managedUserRoutes,
  ...managedLinkRoutes,
];

/** Builds the app: everything but the listener. Paths are those below the base path. */
export function createHttp(service: Service, clientOf: (request: Request) => Client): Hono<Environment> {
  const hono = new Hono<Environment>({ strict: false });
  hono.use(async (context, next) => {
    context.set('client', clientOf(context.req.raw));
    await next();
    const { headers } = context.res;
    headers.set('X-Content-Type-Options', 'nosniff');
    headers.set('Referrer-Policy', 'no-referrer');
    if (!headers.has('Cache-Control')) headers.set('Cache-Control', 'no-store');
  });
  addCors(hono, service);
  addSystemRoutes(hono, service, authRoutes, managementRoutes);
  hono.route('/', pages({ path: service.options.basePath, onlyApp: () => findOnlyApp(service) }));
  mountRoutes(hono, service, '/auth/v1', authRoutes);
  mountRoutes(hono, service, '/api/v1', managementRoutes);
  hono.notFound(() => new WireError('not_found').toResponse());
  hono.onError((error) => refuse(service, error).toResponse());
  return hono;
}

/** Turns whatever went wrong into an answer that says nothing of it. The log gets the details. */
export function refuse(service: Service, error: unknown): WireError {
  const refusal = error instanceof WireError ? error : translate(service, error);
  service.metrics.refusals.inc({ code: refusal.code });
  return refusal;
}

function translate(service: Service, error: unknown): WireError {
  const { name, message, code, stack } = error as Error & { code?: unknown };
  service.options.logger.error({ error: { name, message, code, stack } }, 'Request failed');
  // The database does not answer, or cannot be written to: it may later.
  const away =
    /^(SQLITE_(BUSY|FULL|IOERR|READONLY|CANTOPEN|LOCKED)|ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_|57P|53|08|25006)/.test(
      String(code ?? ''),
    );
  // A connection that breaks during a query has no code.
  if (away || /^(timeout exceeded when trying to connect|Connection terminated)/.test(message)) {
    return new WireError('service_unavailable', undefined, { retryAfter: 5 });
  }
  return new WireError('internal_server_error');
}

const allowedHeaders = ['authorization', 'content-type', 'passage-version', 'passage-element-version'];

/** Pages of the app's origins may call the Auth API; those of others may not even change anything. The Management API is not for pages. */
function addCors(hono: Hono<Environment>, service: Service): void {
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
