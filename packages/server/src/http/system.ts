import type { Hono } from 'hono';
import { readRelatedOrigins } from '../apps/origins.ts';
import { WireError } from '../errors.ts';
import { JsonResponse } from '../json.ts';
import type { Service } from '../service.ts';
import { checkSecret } from '../storage/binding.ts';
import { cacheable } from './cache.ts';
import { openApiDocument } from './openapi.ts';
import type { HttpEnvironment, Route } from './routes.ts';

/** Where browsers look for related origins: at the root of the RP ID, whatever path the server is mounted at. */
export const relatedOriginsPath = '/.well-known/webauthn';

/** Tells whether a path is that of a route for those who run the server: proxies keep strangers from these by their path. */
export function isSystemPath(path: string): boolean {
  return /^\/(?:livez|readyz|metrics|api\/v1\/openapi\.json)$/.test(path) || path === relatedOriginsPath;
}

/** Adds the routes for operators. */
export function addSystemRoutes(
  hono: Hono<HttpEnvironment>,
  service: Service,
  auth: readonly Route[],
  management: readonly Route[],
): void {
  hono.get('/livez', () => new JsonResponse({ status: 'ok' }));
  hono.get('/readyz', async () => {
    // Load balancers then send new requests elsewhere.
    if (service.closing.signal.aborted)
      throw new WireError('service_unavailable', 'The server is closing', { retryAfter: 5 });
    await checkSecret(service.db, service.secrets).catch((error: Error) => {
      service.options.logger.error({ reason: error.message }, 'Not ready');
      throw new WireError('service_unavailable', 'The database does not answer, or not to this secret', {
        retryAfter: 5,
      });
    });
    return new JsonResponse({ status: 'ok' });
  });
  if (service.options.metrics) {
    hono.get('/metrics', async (context) => {
      const { registry } = service.metrics;
      return context.body(await registry.metrics(), 200, { 'Content-Type': registry.contentType });
    });
  }
  hono.get(relatedOriginsPath, async (context) => {
    const { req } = context;
    const host = req.header('host') ?? new URL(req.url).host;
    const origins = await readRelatedOrigins(service, host, req.query('app'));
    return cacheable(req.raw, new JsonResponse({ origins }));
  });
  let document: string | undefined;
  hono.get('/api/v1/openapi.json', (context) => {
    document ??= JSON.stringify(openApiDocument(service.options.baseUrl, auth, management));
    return context.body(document, 200, {
      'Content-Type': 'application/json',
      'Cache-Control': 'public, max-age=300',
    });
  });
}
