import { z } from 'zod';
import { WireError } from '../errors.ts';
import { type Route, route } from '../http/routes.ts';
import { authResult, bodies } from '../http/schemas.ts';
import { checkLimit, countUp } from '../limits/limits.ts';
import { refresh, revoke } from '../logins/sessions.ts';

export const tokenRoutes: Route[] = [
  route(
    {
      method: 'POST',
      path: '/tokens',
      summary:
        'Exchange a refresh token for new tokens. Using one twice ends the session, after a few seconds',
      access: 'public',
      body: bodies.refresh,
      status: 201,
      answer: z.object({ auth_result: authResult }),
      errors: [400, 401, 403, 429],
    },
    async ({ service, app, body, client }) => {
      await checkLimit(service, 'failuresPerIp', app.id, client.ip);
      try {
        return { auth_result: await refresh(service, app, body.refresh_token, client) };
      } catch (error) {
        if (error instanceof WireError && error.status === 401)
          await countUp(service, 'failuresPerIp', app.id, client.ip);
        throw error;
      }
    },
  ),
  route(
    {
      method: 'DELETE',
      path: '/tokens',
      summary: 'Log out: end the session that a refresh token belongs to',
      access: 'public',
      query: z.object({ refresh_token: z.string().max(1_000) }),
      errors: [400],
    },
    async ({ service, app, query, client }) => revoke(service, app, query.refresh_token, client),
  ),
];
