/**
 * Passage for Fastify 5.
 *
 * @module @passage-auth/fastify
 */
import {
  type AdapterOptions,
  type AuthenticateOptions,
  internalAuthenticate,
  isPreflight,
  Passage,
  type Principal,
} from '@passage-auth/core';
import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

export * from '@passage-auth/core';

/** How a route is authenticated, where it differs from its scope. */
export type RouteAuthentication = Pick<AdapterOptions, 'optional' | 'loadUser'>;

// Symbols, so that no decorator of the app can take the place of what the hook trusts.
const settings = Symbol('@passage-auth/fastify');

// Fastify's own options of `register` come with those of the plugin.
const registration = ['prefix', 'logLevel', 'logSerializers'];

interface Settings extends RouteAuthentication {
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
    /** Who is calling. Missing on routes that are not protected, or optional and called without credentials. */
    passage: Principal | undefined;
  }
  interface FastifyContextConfig {
    /** `false` leaves the route open; an object says how it differs from its scope. Default is to protect it. */
    passage?: false | RouteAuthentication | undefined;
  }
}

/**
 * Plugin that protects every route of the scope it is registered in, its 404 handler and scopes below included. The
 * order does not matter: Fastify applies the hook to the routes and scopes that were there before, too.
 *
 * Checked: what `passage.auth.authenticate` checks, before the body is read. Not checked: routes with
 * `config: { passage: false }`, and a CORS preflight, which browsers send without credentials.
 *
 * @throws TypeError for an option that is missing or cannot be meant
 * @example
 * ```ts
 * await app.register(passage);
 * app.get('/me', (request) => requirePrincipal(request).user);
 * ```
 */
export const passage = fp<AdapterOptions>(
  async (fastify, options) => {
    const { optional, loadUser } = options;
    const own: Settings = { passage: Passage.from(options, ...registration), optional, loadUser };
    fastify.decorate('passage', own.passage);
    fastify.decorate(settings, own);
    if (!fastify.hasRequestDecorator('passage')) fastify.decorateRequest('passage', undefined);
    fastify.addHook('onRequest', (request, _reply, done) => {
      const route = request.routeOptions.config.passage;
      // A scope below may have a client of its own: the nearest one decides, and has its own hook.
      if (request.server[settings] !== own || route === false || isPreflight(request.method, request.headers))
        return done();
      internalAuthenticate(
        own.passage,
        request.headers,
        optionsOf(request, own, route),
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
 * Sets `request.passage`, or throws a `PassageError`, with the settings of the scope and the route. It is what the
 * plugin does; call it by yourself only to combine it with other ways, as with `@fastify/auth`.
 *
 * @throws TypeError when the plugin is not registered
 */
export async function authenticate(request: FastifyRequest): Promise<void> {
  const scope = request.server[settings];
  if (!scope) throw new TypeError('The "@passage-auth/fastify" plugin is not registered in this scope');
  const options = optionsOf(request, scope, request.routeOptions.config.passage);
  request.passage = await scope.passage.auth.authenticate(request.headers, options);
}

function optionsOf(
  { method, raw }: FastifyRequest,
  scope: Settings,
  route: false | RouteAuthentication | undefined,
): AuthenticateOptions {
  return {
    optional: (route || scope).optional ?? scope.optional,
    loadUser: (route || scope).loadUser ?? scope.loadUser,
    method,
    rawHeaders: raw.rawHeaders,
  };
}
