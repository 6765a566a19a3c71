import { createHash } from 'node:crypto';
import type { Hono } from 'hono';
import { WireError } from '../errors.ts';
import type { Service } from '../service.ts';
import { checkSecret } from '../storage/binding.ts';
import { openApiDocument } from './openapi.ts';
import type { Environment, Route } from './routes.ts';

/** Adds the routes for those who run the server. */
export function addSystemRoutes(
  hono: Hono<Environment>,
  service: Service,
  auth: readonly Route[],
  management: readonly Route[],
): void {
  hono.get('/livez', (context) => context.json({ status: 'ok' }));
  hono.get('/readyz', async (context) => {
    await checkSecret(service.db, service.secrets).catch((error: Error) => {
      service.options.logger.error({ reason: error.message }, 'Not ready');
      throw new WireError('service_unavailable', 'The database does not answer, or not to this secret', {
        retryAfter: 5,
      });
    });
    return context.json({ status: 'ok' });
  });
  hono.get('/metrics', async (context) => {
    const { registry } = service.metrics;
    return context.body(await registry.metrics(), 200, { 'Content-Type': registry.contentType });
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

/** Lets public documents be kept for five minutes, and be asked for by their hash. RFC 9110 §8.8.3. */
export async function cacheable(request: Request, response: Response): Promise<Response> {
  const body = await response.text();
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`;
  const headers = new Headers(response.headers);
  headers.set('Cache-Control', 'public, max-age=300');
  headers.set('ETag', etag);
  const known = (request.headers.get('if-none-match') ?? '')
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''));
  if (known.includes(etag)) return new Response(null, { status: 304, headers });
  return new Response(body, { status: response.status, headers });
}
