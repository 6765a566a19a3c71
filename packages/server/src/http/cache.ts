import { createHash } from 'node:crypto';
import type { JsonResponse } from '../json.ts';

/** Lets caches keep public documents for five minutes and revalidate them by ETag (RFC 9110 §8.8.3). */
export function cacheable(request: Request, response: JsonResponse): Response {
  const etag = `"${createHash('sha256').update(response.content).digest('base64url').slice(0, 27)}"`;
  const { headers } = response;
  headers.set('Cache-Control', 'public, max-age=300');
  headers.set('ETag', etag);
  const known = (request.headers.get('if-none-match') ?? '')
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''));
  return known.includes(etag) ? new Response(null, { status: 304, headers }) : response;
}
