import type { Answer } from './answer.ts';
import { WireError } from './errors.ts';
import { createClientReader } from './http/client.ts';
import { addCommonHeaders } from './http/headers.ts';
import { createHints } from './http/hints.ts';
import type { HttpEnvironment } from './http/hono.ts';
import type { Answerer, RequestParts } from './http/node.ts';
import { refuse } from './http/refuse.ts';
import { requestIdHeader, requestIdOf, withRequestId } from './http/requestid.ts';
import { isSystemPath, relatedOriginsPath } from './http/system.ts';
import { createHttp } from './router.ts';
import { type Service, track } from './service.ts';
import { isPlainPath } from './urls.ts';

/** Paths of the server after a proxy has removed the prefix. */
const topLevel = /^\/(?:(?:auth|api)\/v1\/|(?:login|livez|readyz|metrics)$)/;
const strippedPrefix =
  'A request lacks the path of "baseUrl": configure the proxy in front of the server not to strip the prefix';

/** Creates the function that answers every request: it checks the path, calls the routes, and adds what all answers have. */
export function createAnswerer(service: Service): Answerer {
  const { basePath } = service.options;
  const clients = createClientReader(service.options.trustedProxies);
  const hint = createHints();
  const http = createHttp(service, clients);

  const route = (
    { method, origin, path, headers, body }: RequestParts,
    environment: HttpEnvironment['Bindings'],
  ): Answer | Promise<Answer> => {
    const [pathname = ''] = path.split('?', 1);
    // `node:http` does not normalize paths.
    if (!pathname.startsWith('/') || !isPlainPath(pathname)) return new WireError('not_found').toAnswer();
    const below = pathname === basePath || pathname.startsWith(`${basePath}/`);
    const related = pathname === relatedOriginsPath;
    if (!below && !related) {
      if (topLevel.test(pathname)) {
        hint(environment.service, 'prefix', { expected: `${basePath}/` }, strippedPrefix);
      }
      return new WireError('not_found').toAnswer();
    }
    const prefix = related ? '' : basePath;
    const inside = path.slice(prefix.length);
    // The router accepts trailing slashes.
    if (pathname.endsWith('/') && isSystemPath(pathname.slice(prefix.length, -1))) {
      return new WireError('not_found').toAnswer();
    }
    // Hono and the routes read no other parts.
    const inner = {
      method: method === 'HEAD' ? 'GET' : method,
      url: origin + (inside.startsWith('/') ? inside : `/${inside}`),
      headers,
      body,
    };
    return http(inner as Request, environment);
  };
  const respond = async (
    read: Parameters<Answerer>[2],
    environment: HttpEnvironment['Bindings'],
  ): Promise<Answer> => {
    try {
      return await route(await read(), environment);
    } catch (error) {
      return refuse(environment.service, error).toAnswer();
    }
  };
  return async (headers, remoteAddress, read) => {
    const id = requestIdOf(headers.get(requestIdHeader), () => clients.isProxy(remoteAddress));
    const environment = { service: withRequestId(service, id), remoteAddress };
    const made = await track(service, respond(read, environment));
    addCommonHeaders(made, id);
    return made;
  };
}
