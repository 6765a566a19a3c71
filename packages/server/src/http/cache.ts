import { createHash } from 'node:crypto';

/** Lets caches keep public documents for five minutes and revalidate them by ETag (RFC 9110 §8.8.3). */
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
