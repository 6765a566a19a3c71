/**
 * Passage for Fastify 5.
 *
 * @module @passage-auth/fastify
 */
import {
  type AdapterOptions,
  type Authorize,
  internalAuthenticate,
  internalCheckRoute,
  internalSettle,
  isPreflight,
  Passage,
  type Principal,
  type RouteOptions,
} from '@passage-auth/core';
import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { settings } from './settings.ts';

export * from '@passage-auth/core';
export { type ListedRoute, trackRoutes } from './routes.ts';

/** How a route differs from its scope. `authorize` of the scope and of the route must both allow. */
export type RouteAuthentication = RouteOptions;

// Fastify's own options of `register` come with those of the plugin.
const registration = ['prefix', 'logLevel', 'logSerializers'];

interface Settings extends RouteOptions {
  readonly passage: Passage;
}

declare module 'fastify' {
  interface FastifyInstance {
    /** The client of the nearest scope that registered the plugin. */
    passage: Passage;
    /** @internal */
    [settings]?: Settings;
  }
  interface FastifyRequest {
    /** The principal. Undefined on open routes, and on optional ones without credentials. */
    passage: Principal | undefined;
  }
  interface FastifyContextConfig {
    /** `false` leaves the route open; an object overrides the scope. Default is to protect it. */
    passage?: false | RouteOptions | undefined;
  }
}

/** What is read of a request, whether it came over HTTP/1.1, HTTP/2 or TLS. */
interface AnyRequest extends Pick<FastifyRequest, 'headers' | 'method' | 'routeOptions' | 'passage'> {
  readonly server: { readonly [settings]?: Settings };
  readonly raw: { readonly rawHeaders: string[] };
}

/**
 * Plugin that protects every route of the scope it is registered in, its 404 handler and scopes below included. The
 * order does not matter: Fastify also applies the hook to routes and scopes registered before.
 *
 * Checked: what `passage.auth.authenticate` checks, and `authorize`, before the body is read. Not checked: routes with
 * `config: { passage: false }`, and a CORS preflight, which browsers send without credentials.
 *
 * @throws TypeError if an option is missing or invalid
 * @example
 * ```ts
 * await app.register(passage);
 * app.get('/me', (request) => requirePrincipal(request).user);
 * ```
 */
export const passage = fp<AdapterOptions>(
  async (fastify, options) => {
    const { optional, loadUser, authorize } = options;
    const own: Settings = { passage: Passage.from(options, ...registration), optional, loadUser, authorize };
    fastify.decorate('passage', own.passage);
    fastify.decorate(settings, own);
    if (!fastify.hasRequestDecorator('passage')) fastify.decorateRequest('passage', undefined);
    fastify.addHook('onRoute', ({ config }) => internalCheckRoute(config?.passage || {}));
    fastify.addHook('onRequest', (request, _reply, done) => {
      const route = request.routeOptions.config.passage;
      // A scope below may have a client of its own: the nearest one decides, and has its own hook.
      if (request.server[settings] !== own || route === false || isPreflight(request.method, request.headers))
        return done();
      internalSettle(
        () => findCaller(request, own, route),
        (error, principal) => {
          request.passage = principal;
          done(error as Error | undefined);
        },
      );
    });
  },
  { name: '@passage-auth/fastify', fastify: '5.x' },
);

export default passage;

/**
 * Sets `request.passage`, or throws a `PassageError`, with the settings of the scope and the route. The plugin
 * calls this; call it directly only to combine strategies, as with `@fastify/auth`.
 *
 * @throws TypeError if the plugin is not registered
 */
export async function authenticate(request: AnyRequest): Promise<void> {
  const scope = request.server[settings];
  if (!scope) throw new TypeError('The "@passage-auth/fastify" plugin is not registered in this scope');
  request.passage = await findCaller(request, scope, request.routeOptions.config.passage);
}

function findCaller(request: AnyRequest, scope: Settings, route: false | RouteOptions | undefined) {
  const own = route || scope;
  return internalAuthenticate(scope.passage, request.headers, {
    optional: own.optional ?? scope.optional,
    loadUser: own.loadUser ?? scope.loadUser,
    authorize: checksOf(scope, own),
    method: request.method,
    rawHeaders: request.raw.rawHeaders,
  });
}

function checksOf(scope: Settings, own: RouteOptions): readonly Authorize[] | undefined {
  if (!scope.authorize && !own.authorize) return undefined;
  return [...new Set([scope.authorize, own.authorize])].filter((check) => check !== undefined);
}
