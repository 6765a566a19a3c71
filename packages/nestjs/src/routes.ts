import { type INestApplicationContext, RequestMethod, type Type } from '@nestjs/common';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import { accessKey, accessOf, authorizeKey, checksOf, guardKey, guardsOf } from './access.ts';
import { globally, isSettings, type Settings } from './tokens.ts';

/** A route and who may call it. With `authorize`, an optional route is `protected`. */
export interface ListedRoute {
  method: string;
  /** Of controller and handler, without a global prefix and without a version. */
  path: string;
  /** For example `MeController.me`. */
  handler: string;
  access: 'protected' | 'optional' | 'public';
}

type Handler = (...args: never) => unknown;

/**
 * Lists the routes of an app, sorted by path: for a test that pins which routes are open.
 *
 * Not seen: guards that `app.useGlobalGuards` adds, guards of other packages, and what a subclass of `PassageGuard`
 * decides in `getAccess`.
 *
 * @example
 * ```ts
 * const app = await NestFactory.create(AppModule);
 * listRoutes(app); // [{ method: 'GET', path: '/me', handler: 'MeController.me', access: 'protected' }, …]
 * ```
 */
export function listRoutes(app: Pick<INestApplicationContext, 'get'>): ListedRoute[] {
  const modules = app.get(ModulesContainer, { strict: false });
  const guards = globalGuardsOf(modules);
  return classesOf(modules, 'controllers')
    .flatMap((type) =>
      handlersOf(type)
        .filter(isRoute)
        .flatMap((handler) => routesOf(type, handler)),
    )
    .sort((one, other) => (`${one.path} ${one.method}` < `${other.path} ${other.method}` ? -1 : 1));

  function routesOf(type: Type, handler: Handler): ListedRoute[] {
    const paths = [type, handler].map((of): string[] => [Reflect.getMetadata('path', of)].flat());
    const [prefixes = [], suffixes] = paths as [string[], string[]];
    const method = RequestMethod[Reflect.getMetadata('method', handler)] as string;
    const access = accessFor(type, handler);
    return prefixes.flatMap((prefix) =>
      suffixes.map((suffix) => ({
        method,
        path: `/${[prefix, suffix]
          .flatMap((path) => path.split('/'))
          .filter(Boolean)
          .join('/')}`,
        handler: `${type.name}.${handler.name}`,
        access,
      })),
    );
  }

  function accessFor(type: Type, handler: Handler): ListedRoute['access'] {
    const asked = [...guards, ...guardsOf(type), ...guardsOf(handler)];
    const access = accessOf(type, handler);
    if (asked.length === 0 || access === 'public') return 'public';
    const open = asked.every((guard) => {
      const { optional, authorize } = settingsFor(modules, guard);
      return !authorize && (optional || access === 'optional');
    });
    return open && checksOf(type, handler).length === 0 ? 'optional' : 'protected';
  }
}

/** @throws TypeError if a handler has `@Authorize()` and no guard runs it @internal */
export function requireGuards(modules: ModulesContainer): void {
  const global = globalGuardsOf(modules).length > 0;
  for (const type of [...classesOf(modules, 'controllers'), ...classesOf(modules, 'providers')]) {
    for (const handler of handlersOf(type)) {
      if (checksOf(type, handler).length === 0) continue;
      const name = `${type.name}.${handler.name}`;
      if (!global && guardsOf(type).length + guardsOf(handler).length === 0) {
        throw new TypeError(
          `@Authorize() of ${name} needs @UseGuards(PassageGuard), or the module "global: true"`,
        );
      }
      // A handler may be public in a class that authorizes, but it must not be marked with both.
      const marked = Reflect.hasMetadata(accessKey, handler) ? handler : type;
      if (accessOf(type, handler) === 'public' && [handler, marked].some(isAuthorized)) {
        throw new TypeError(`@Authorize() and @Public() of ${name} contradict each other`);
      }
    }
  }
}

function isRoute(handler: Handler): boolean {
  return Reflect.hasMetadata('path', handler);
}

function isAuthorized(target: object): boolean {
  return Reflect.hasMetadata(authorizeKey, target);
}

function classesOf(modules: ModulesContainer, kind: 'controllers' | 'providers'): Type[] {
  const wrappers = [...modules.values()].flatMap((module) => [...module[kind].values()]);
  // A provider may be made by a function, which has a `metatype`, too.
  const types = wrappers.map(({ metatype, inject }) => (inject ? null : metatype));
  return [...new Set(types)].filter((type): type is Type => typeof type === 'function' && !!type.prototype);
}

/** Handlers of HTTP, GraphQL, messages and gateways: what Nest's decorators have marked. */
function handlersOf(type: Type): Handler[] {
  return new MetadataScanner()
    .getAllMethodNames(type.prototype)
    .map((name): Handler => type.prototype[name])
    .filter((method) => typeof method === 'function' && Reflect.getMetadataKeys(method).length > 0);
}

function globalGuardsOf(modules: ModulesContainer): object[] {
  const providers = [...modules.values()].flatMap((module) => [...module.providers]);
  return providers
    .filter(([token]) => typeof token === 'string' && token.startsWith('APP_GUARD'))
    .map(([, { metatype, inject }]) => (inject?.[0] ?? metatype) as object)
    .filter((guard) => typeof guard === 'function' && guardKey in guard);
}

/** How the module that provides a guard was set up. */
function settingsFor(modules: ModulesContainer, guard: object): Settings {
  const module = [...modules.values()].find(
    ({ providers }) => providers.has(globally) && providers.has(guard as Type),
  );
  const [, settings] = [...(module?.providers ?? [])].find(([token]) => isSettings(token)) ?? [];
  return settings?.instance ?? {};
}
