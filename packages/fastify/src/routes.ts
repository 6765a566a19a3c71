import type { RouteOptions } from '@passage-auth/core';
import type { FastifyInstance } from 'fastify';
import { settings } from './settings.ts';

/** A route and who may call it. With `authorize`, an `optional` route is `protected`. */
export interface ListedRoute {
  method: string;
  url: string;
  access: 'protected' | 'optional' | 'public';
}

/**
 * Records the routes of an app, and returns a function that lists them, sorted by URL: for a test that pins which
 * routes are open. Call it before the first route is added, and the function it returns once the app is ready.
 *
 * Not seen: protection by anything but this plugin, such as `authenticate` in a hook of your own.
 *
 * @throws TypeError if the app already has routes
 * @example
 * ```ts
 * const app = fastify();
 * const listRoutes = trackRoutes(app);
 * app.get('/health', { config: { passage: false } }, async () => 'ok');
 * await app.ready();
 * listRoutes(); // [{ method: 'GET', url: '/health', access: 'public' }, …]
 * ```
 */
export function trackRoutes(app: Pick<FastifyInstance, 'addHook' | 'printRoutes'>): () => ListedRoute[] {
  if (app.printRoutes() !== '(empty tree)') {
    throw new TypeError('trackRoutes(app) must be called before the first route is added');
  }
  const tracked: (() => ListedRoute[])[] = [];
  app.addHook('onRoute', function ({ method, url, config }) {
    tracked.push(() => {
      const access = accessOf(this, config?.passage);
      return [method].flat().map((name) => ({ method: name, url, access }));
    });
  });
  return () =>
    tracked
      .flatMap((list) => list())
      .sort((one, other) => (`${one.url} ${one.method}` < `${other.url} ${other.method}` ? -1 : 1));
}

function accessOf(
  { [settings]: scope }: Pick<FastifyInstance, typeof settings>,
  route: false | RouteOptions | undefined,
): ListedRoute['access'] {
  if (!scope || route === false) return 'public';
  if (scope.authorize || route?.authorize) return 'protected';
  return (route?.optional ?? scope.optional) ? 'optional' : 'protected';
}
