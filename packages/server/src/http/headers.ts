import { requestIdHeader } from './requestid.ts';

/** Sets the headers of every answer. */
export function addCommonHeaders({ headers }: Response, requestId: string): void {
  headers.set(requestIdHeader, requestId);
  headers.set('X-Content-Type-Options', 'nosniff');
  headers.set('Referrer-Policy', 'no-referrer');
  if (!headers.has('Cache-Control')) headers.set('Cache-Control', 'no-store');
}
