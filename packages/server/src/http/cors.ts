import type { Answer } from '../answer.ts';
import { requireApp } from '../apps/apps.ts';
import { isAllowedOrigin } from '../apps/origins.ts';
import { WireError } from '../errors.ts';
import type { App, Service } from '../service.ts';
import { createHints } from './hints.ts';
import { answerOf, type HttpRouter } from './hono.ts';
import { requestIdHeader } from './requestid.ts';

const allowedHeaders = ['authorization', 'content-type', 'passage-version', 'passage-element-version'];

/**
 * Allows pages of the app's origins to call the Auth API, and rejects requests of other pages that change something. The
 * Management API has no CORS. Any page may read the 404 of an app that does not exist.
 */
export function addCors(router: HttpRouter): void {
  const hint = createHints();
  router.use('/auth/v1/apps/:app_id/*', async (context, next) => {
    const origin = context.req.header('origin');
    if (origin === undefined) return answerOf(context, next);
    const { method } = context.req;
    const { service } = context.env;
    const app = await findApp(service, context.req.param('app_id') ?? '');
    const allowed = !app || isAllowedOrigin(service, app, origin);
    if (!allowed) {
      hint(
        service,
        app.id,
        { app: app.id, origin: origin.slice(0, 200) },
        'A page of an origin that the app does not list called the Auth API: add it to the setting "authOrigin" or "additionalAuthOrigins"',
      );
      if (!isSafe(method)) throw new WireError('operation_not_allowed', 'Origin is not allowed');
    }
    // The headers are set last, so that errors have them too: the page can then read the reason.
    const answer =
      method === 'OPTIONS' ? { status: 204, headers: {}, content: '' } : await answerOf(context, next);
    const headers: Answer['headers'] = answer.headers;
    headers.Vary = 'Origin';
    if (!allowed) return answer;
    headers['Access-Control-Allow-Origin'] = origin;
    headers['Access-Control-Expose-Headers'] = `Retry-After, ${requestIdHeader}`;
    if (method !== 'OPTIONS') return answer;
    headers['Access-Control-Allow-Methods'] = 'GET, POST, PATCH, DELETE';
    headers['Access-Control-Allow-Headers'] = allowedHeaders.join(', ');
    headers['Access-Control-Max-Age'] = '600';
    return answer;
  });
}

/** Safe methods, of those that routes use. RFC 9110 §9.2.1 */
function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}

async function findApp(service: Service, id: string): Promise<App | undefined> {
  try {
    return await requireApp(service, id);
  } catch (error) {
    if (error instanceof WireError && error.status === 404) return undefined;
    throw error;
  }
}
