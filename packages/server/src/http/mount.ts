import { type Answer, json } from '../answer.ts';
import { requireApp, requireKey } from '../apps/apps.ts';
import { WireError } from '../errors.ts';
import { publishRequest } from '../events/channels.ts';
import { levelTime } from '../logins/enumeration.ts';
import { readBody, readQuery } from './body.ts';
import { cacheable } from './cache.ts';
import { requireCaller } from './caller.ts';
import type { ClientReader } from './client.ts';
import type { HttpContext, HttpRouter } from './hono.ts';
import type { Route } from './routes.ts';

/** Adds routes to the app, below `prefix`. */
export function mountRoutes(
  router: HttpRouter,
  clients: ClientReader,
  prefix: string,
  routes: readonly Route[],
): void {
  for (const one of routes) {
    const path = `${prefix}/apps/{app_id}${one.path}`;
    const pattern = path.replace(/\{(\w+)\}/g, ':$1');
    const label = { method: one.method, route: path };
    router.on(one.method, pattern, async (context) => {
      const { metrics } = context.env.service;
      const start = performance.now();
      const end = (status: number) => {
        const duration = performance.now() - start;
        metrics.requests.observe({ ...label, status }, duration / 1000);
        publishRequest({ appId: context.req.param('app_id') ?? '', ...label, status, duration });
      };
      try {
        const response = await answer(context, clients, one);
        end(response.status);
        return response;
      } catch (error) {
        end(error instanceof WireError ? error.status : 500);
        throw error;
      }
    });
  }
}

async function answer(context: HttpContext, clients: ClientReader, one: Route): Promise<Answer> {
  const { service, remoteAddress } = context.env;
  const { app_id = '', ...params } = context.req.param() as Record<string, string>;
  const app = await requireApp(service, app_id);
  const authorization = context.req.header('authorization');
  let client = clients.read(context.req.raw.headers, remoteAddress);
  const managed = one.access === 'key' || one.access === 'optional key';
  // The official Ruby SDK 0.7 sends a scheme without a value if it has no key.
  const given = authorization !== undefined && !/^bearer *$/i.test(authorization);
  if (one.access === 'key' || (one.access === 'optional key' && given)) {
    const id = await requireKey(service, app, authorization, client);
    client = { ...client, actor: { kind: 'api_key', id } };
  }
  // Access tokens of an ended session can only read.
  const demand = { live: one.method !== 'GET', recent: one.credentials ?? false };
  const caller = one.access === 'user' ? await requireCaller(service, app, authorization, demand) : undefined;
  const request = {
    service,
    app,
    client,
    params,
    body: one.body && (await readBody(context.req.raw, one.body, !managed)),
    query: one.query && readQuery(new URL(context.req.url), one.query),
    caller,
  };
  const result = await (one.leveled ? levelTime(service, () => one.handle(request)) : one.handle(request));
  const status = one.status ?? 200;
  if (result === undefined) return { status, headers: {}, content: '' };
  return one.cacheable ? cacheable(context.req.raw, json(result, status)) : json(result, status);
}
