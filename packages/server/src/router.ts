import type { Answer } from './answer.ts';
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
import { createHttpRouter, type HttpEnvironment } from './http/hono.ts';
import { mountRoutes } from './http/mount.ts';
import { isProbe, probeHeader, seenHeader } from './http/probe.ts';
import { refuse } from './http/refuse.ts';
import type { Route } from './http/routes.ts';
import { addSystemRoutes } from './http/system.ts';
import { managementRoutes } from './management/management.ts';
import { addPages } from './pages/pages.ts';
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

type Http = (request: Request, environment: HttpEnvironment['Bindings']) => Answer | Promise<Answer>;

/** Builds the app: everything except the listener. Paths are relative to the base path. */
export function createHttp(service: Service, clients: ClientReader): Http {
  const router = createHttpRouter();
  addCors(router);
  addSystemRoutes(router, service, authRoutes, managementRoutes);
  addPages(router, { path: service.options.basePath, onlyApp: () => findOnlyApp(service) });
  mountRoutes(router, clients, '/auth/v1', authRoutes);
  mountRoutes(router, clients, '/api/v1', managementRoutes);
  router.notFound(() => new WireError('not_found').toAnswer());
  router.onError((error, { env }) => refuse(env.service, error).toAnswer());
  const answerProbe = async (request: Request, environment: HttpEnvironment['Bindings']) => {
    const answer = await router.fetch(request, environment);
    const seen = clients.describe(request.headers, environment.remoteAddress);
    answer.headers[seenHeader] = JSON.stringify(seen);
    return answer;
  };
  return (request, environment) => {
    const probe = request.headers.get(probeHeader);
    return probe && isProbe(service.secrets, probe, service.clock())
      ? answerProbe(request, environment)
      : router.fetch(request, environment);
  };
}
