import { z } from 'zod';
import { publicAppView } from '../apps/views.ts';
import { type Route, route } from '../http/routes.ts';
import { publicApp } from '../http/schemas.ts';
import { issuerOf } from '../service.ts';

const jwk = z.object({
  alg: z.string(),
  e: z.string(),
  kid: z.string(),
  kty: z.string(),
  n: z.string(),
  use: z.string(),
});

export const appRoutes: Route[] = [
  route(
    {
      method: 'GET',
      path: '',
      summary: 'Public settings of the app',
      access: 'public',
      answer: z.object({ app: publicApp }),
    },
    async ({ service, app }) => ({ app: publicAppView(app, await service.keys.published(app.id)) }),
  ),
  route(
    {
      method: 'GET',
      path: '/.well-known/jwks.json',
      summary: 'Public keys that verify access tokens',
      access: 'public',
      cacheable: true,
      answer: z.object({ keys: z.array(jwk) }),
    },
    async ({ service, app }) => ({ keys: await service.keys.published(app.id) }),
  ),
  route(
    {
      method: 'GET',
      path: '/.well-known/openid-configuration',
      summary: 'Issuer and URL of its keys',
      access: 'public',
      cacheable: true,
      answer: z.object({ authorization_endpoint: z.string(), issuer: z.string(), jwks_uri: z.string() }),
    },
    async ({ service, app }) => {
      const issuer = issuerOf(service, app.id);
      return {
        authorization_endpoint: `${issuer}/social/authorize`,
        issuer,
        jwks_uri: `${issuer}/.well-known/jwks.json`,
      };
    },
  ),
];
