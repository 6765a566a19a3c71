import { createHash } from 'node:crypto';
import type { Answer } from '../answer.ts';

/** Lets caches keep public documents for five minutes and revalidate them by ETag (RFC 9110 §8.8.3). */
export function cacheable(request: Request, answer: Answer): Answer {
  const etag = `"${createHash('sha256').update(answer.content).digest('base64url').slice(0, 27)}"`;
  answer.headers['Cache-Control'] = 'public, max-age=300';
  answer.headers.ETag = etag;
  const known = (request.headers.get('if-none-match') ?? '')
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''));
  return known.includes(etag) ? { ...answer, status: 304, content: '' } : answer;
}
