import { Hono } from 'hono';
import { findOnlyApp } from './apps/apps.ts';
import { absentRoutes } from './auth/absent.ts';
import { appRoutes } from './auth/app.ts';
import { codeRoutes } from './auth/codes.ts';
import { currentUserRoutes } from './auth/currentuser.ts';
import { linkRoutes } from './auth/links.ts';
import { passkeyRoutes } from './auth/passkeys.ts';
import { tokenRoutes } from './auth/tokens.ts';
import { userRoutes } from './auth/users.ts';
import { WireError } from './errors.ts';
import type { ClientReader } from './http/client.ts';
import { addCors } from './http/cors.ts';
import { isProbe, probeHeader, seenHeader } from './http/probe.ts';
import { refuse } from './http/refuse.ts';
import { type HttpEnvironment, mountRoutes, type Route } from './http/routes.ts';
import { addSystemRoutes } from './http/system.ts';
import { appRoutes as managedAppRoutes } from './management/app.ts';
import { linkRoutes as managedLinkRoutes } from './management/links.ts';
import { listRoutes } from './management/list.ts';
import { userRoutes as managedUserRoutes } from './management/users.ts';
import { pages } from './pages/pages.ts';
import type { Service } from './service.ts';

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
export function createHttp(service: Service, clients: ClientReader): Hono<HttpEnvironment> {
  const hono = new Hono<HttpEnvironment>({ strict: false });
  hono.use(async (context, next) => {
    context.set('client', clients.read(context.req.raw));
    await next();
    const probe = context.req.header(probeHeader);
    if (probe && isProbe(service.secrets, probe, service.clock())) {
      context.res.headers.set(seenHeader, JSON.stringify(clients.describe(context.req.raw)));
    }
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
