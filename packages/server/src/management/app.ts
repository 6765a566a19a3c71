import { z } from 'zod';
import { appInfoView } from '../apps/views.ts';
import { type Route, route } from '../http/routes.ts';
import { appInfo } from '../http/schemas.ts';

export const appRoutes: Route[] = [
  route(
    {
      method: 'GET',
      path: '',
      summary: 'App and its settings',
      access: 'optional key',
      answer: z.object({ app: appInfo }),
      errors: [401],
    },
    async ({ service, app }) => ({ app: appInfoView(app, await service.keys.published(app.id)) }),
  ),
];
