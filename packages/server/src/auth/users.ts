import { z } from 'zod';
import { type Route, route } from '../http/routes.ts';
import { bodies, publicUser } from '../http/schemas.ts';
import { countUp } from '../limits/limits.ts';
import { lookUpUser, resolveRegistrant } from '../logins/enumeration.ts';
import { requireSignup } from '../logins/signup.ts';
import { readIdentifier } from '../users/identifiers.ts';
import { mergeMetadata, noteOpenFields } from '../users/metadata.ts';
import { listDevices } from '../users/users.ts';
import { strangerView } from '../users/views.ts';

export const userRoutes: Route[] = [
  route(
    {
      method: 'GET',
      path: '/users',
      summary: 'Look a user up. With strict enumeration the answer is always null',
      access: 'public',
      query: z.object({ identifier: z.string().max(1_000) }),
      answer: z.object({ user: publicUser.nullable() }),
      errors: [400, 429],
    },
    async ({ service, app, query, client }) => {
      await countUp(service, 'startsPerIp', app.id, client.ip);
      const identifier = readIdentifier(app, query.identifier);
      const user = await lookUpUser(service, app, identifier);
      if (!user) return { user: null };
      const devices = await listDevices(service.db, app.id, user.id);
      return { user: strangerView(user, devices, identifier) };
    },
  ),
  route(
    {
      method: 'POST',
      path: '/users',
      leveled: true,
      summary: 'Create a pending user, or return the existing one',
      access: 'public',
      body: bodies.identifier,
      status: 201,
      answer: z.object({ user: publicUser }),
      errors: [400, 403, 429],
    },
    async ({ service, app, body, client }) => {
      await countUp(service, 'startsPerIp', app.id, client.ip);
      requireSignup(app);
      const identifier = readIdentifier(app, body.identifier);
      const entered = {
        metadata: mergeMetadata(app.settings, null, body.user_metadata, 'registration'),
        open_metadata: noteOpenFields(null, body.user_metadata, 'stranger'),
      };
      const { user } = await resolveRegistrant(service, app, client, identifier, entered);
      return { user: strangerView(user, [], identifier) };
    },
  ),
];
