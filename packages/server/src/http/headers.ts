import type { Answer } from '../answer.ts';
import { requestIdHeader } from './requestid.ts';

/** Sets the headers of every answer. */
export function addCommonHeaders({ headers }: Answer, requestId: string): void {
  headers[requestIdHeader] = requestId;
  headers['X-Content-Type-Options'] = 'nosniff';
  headers['Referrer-Policy'] = 'no-referrer';
  headers['Cache-Control'] ??= 'no-store';
}
