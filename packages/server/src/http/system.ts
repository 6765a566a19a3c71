import { json } from '../answer.ts';
import { readRelatedOrigins } from '../apps/origins.ts';
import { WireError } from '../errors.ts';
import type { Service } from '../service.ts';
import { checkSecret } from '../storage/binding.ts';
import { cacheable } from './cache.ts';
import type { HttpRouter } from './hono.ts';
import { openApiDocument } from './openapi.ts';
import type { Route } from './routes.ts';

/** Where browsers look for related origins: at the root of the RP ID, independent of the path of the server. */
export const relatedOriginsPath = '/.well-known/webauthn';

/** Returns whether a path belongs to a route for operators. Proxies block these routes by their path. */
export function isSystemPath(path: string): boolean {
  return /^\/(?:livez|readyz|metrics|api\/v1\/openapi\.json)$/.test(path) || path === relatedOriginsPath;
}

/** Adds the routes for operators. */
export function addSystemRoutes(
  router: HttpRouter,
  { options, metrics: { registry } }: Service,
  auth: readonly Route[],
  management: readonly Route[],
): void {
  router.get('/livez', () => json({ status: 'ok' }));
  router.get('/readyz', async ({ env: { service } }) => {
    // Load balancers then send new requests to other processes.
    if (service.closing.signal.aborted)
      throw new WireError('service_unavailable', 'The server is closing', { retryAfter: 5 });
    await checkSecret(service.db, service.secrets).catch((error: Error) => {
      service.options.logger.error({ reason: error.message }, 'Not ready');
      throw new WireError('service_unavailable', 'The database is unavailable, or has a different secret', {
        retryAfter: 5,
      });
    });
    return json({ status: 'ok' });
  });
  if (options.metrics) {
    router.get('/metrics', async () => ({
      status: 200,
      headers: { 'Content-Type': registry.contentType },
      content: await registry.metrics(),
    }));
  }
  router.get(relatedOriginsPath, async ({ req, env: { service } }) => {
    const host = req.header('host') ?? new URL(req.url).host;
    const origins = await readRelatedOrigins(service, host, req.query('app'));
    return cacheable(req.raw, json({ origins }));
  });
  let document: string | undefined;
  router.get('/api/v1/openapi.json', () => {
    document ??= JSON.stringify(openApiDocument(options.baseUrl, auth, management));
    return {
      status: 200,
      headers: { 'Content-Type': 'application/json', 'Cache-Control': 'public, max-age=300' },
      content: document,
    };
  });
}
