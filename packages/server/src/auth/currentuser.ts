import { z } from 'zod';
import { WireError } from '../errors.ts';
import { record } from '../events/record.ts';
import { callerOf, type Route, route } from '../http/routes.ts';
import {
  bodies,
  currentUser,
  device,
  handshake,
  metadata,
  publicUser,
  socialConnections,
} from '../http/schemas.ts';
import { requireLiveSession } from '../logins/sessions.ts';
import { requireMethod } from '../logins/signup.ts';
import { notify } from '../messages/notices.ts';
import type { App } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import { changedFields, mergeMetadata, noteOpenFields } from '../users/metadata.ts';
import { listDevices, lockUser } from '../users/users.ts';
import { currentUserView, deviceView, publicUserView } from '../users/views.ts';
import { deleteDevice, insertDevice, requireAttestation, unknownHandshake } from '../webauthn/devices.ts';
import { endHandshake, startRegistration, takeHandshake } from '../webauthn/handshakes.ts';

export const currentUserRoutes: Route[] = [
  route(
    {
      method: 'GET',
      path: '/currentuser',
      summary: 'User that the access token names',
      access: 'user',
      answer: z.object({ user: currentUser }),
      errors: [401, 403],
    },
    async (context) => ({ user: await currentUserView(context.service.db, callerOf(context).user) }),
  ),
  route(
    {
      method: 'GET',
      path: '/currentuser/devices',
      summary: 'Passkeys of the user',
      access: 'user',
      answer: z.object({ devices: z.array(device) }),
      errors: [401, 403],
    },
    async (context) => {
      const { user } = callerOf(context);
      return { devices: (await listDevices(context.service.db, user.app_id, user.id)).map(deviceView) };
    },
  ),
  route(
    {
      method: 'POST',
      path: '/currentuser/devices/start',
      summary: 'Begin to add a passkey. Needs a recent login',
      access: 'user',
      credentials: true,
      body: bodies.deviceStart,
      answer: z.object({ handshake, user: publicUser }),
      errors: [400, 401, 403],
    },
    async (context) => {
      const { service, app, body } = context;
      const { user, session } = callerOf(context);
      requireMethod(app, 'passkeys');
      const devices = await listDevices(service.db, app.id, user.id);
      const registrant = { id: user.id, name: user.email ?? user.phone ?? '', sessionId: session.id };
      return {
        handshake: await startRegistration(
          service,
          app,
          'add',
          registrant,
          devices,
          body.authenticator_attachment,
        ),
        user: publicUserView(user, devices),
      };
    },
  ),
  route(
    {
      method: 'POST',
      path: '/currentuser/devices/finish',
      summary: 'Add a passkey. Needs a recent login, and the session that began it',
      access: 'user',
      credentials: true,
      body: bodies.registerFinish,
      status: 201,
      answer: z.object({ device }),
      errors: [400, 401, 403],
    },
    async (context) => {
      const { service, app, body, client } = context;
      const { user, session } = callerOf(context);
      requireMethod(app, 'passkeys');
      const taken = await takeHandshake(service, app, 'add', body.handshake_id);
      const own = taken?.session_id === session.id && body.user_id === user.id ? taken : undefined;
      const credential = await requireAttestation(service, app, own, body.handshake_response);
      const row = await service.db.transaction().execute(async (trx) => {
        await lockUser(trx, app.id, user.id);
        // Session and ceremony may have ended during the verification.
        const { proven } = await requireLiveSession(service, trx, app, user.id, session.id);
        if (!(await endHandshake(trx, own))) throw unknownHandshake();
        return insertDevice(service, trx, app, user, credential, client, proven);
      });
      await notify(service, app, user, 'passkey_added', { visitor: client });
      return { device: deviceView(row) };
    },
  ),
  route(
    {
      method: 'PATCH',
      path: '/currentuser/devices/{device_id}',
      summary: 'Rename a passkey',
      access: 'user',
      body: bodies.deviceRename,
      answer: z.object({ device }),
      errors: [400, 401, 403, 404],
    },
    async (context) => {
      const { service, app, params, body, client } = context;
      const userId = callerOf(context).user.id;
      return service.db.transaction().execute(async (trx) => {
        const row = await trx
          .updateTable('devices')
          .set({ friendly_name: body.friendly_name, updated_at: service.clock() })
          .where('app_id', '=', app.id)
          .where('user_id', '=', userId)
          .where('id', '=', params.device_id ?? '')
          .returningAll()
          .executeTakeFirst();
        if (!row) throw new WireError('user_not_found', 'Device not found');
        const change = { appId: app.id, userId, client, details: { passkey: row.id } };
        await record(service, trx, { type: 'webauthn.renamed', ...change });
        return { device: deviceView(row) };
      });
    },
  ),
  route(
    {
      method: 'DELETE',
      path: '/currentuser/devices/{device_id}',
      summary: 'Delete a passkey and end the sessions it opened. Needs a recent login',
      access: 'user',
      credentials: true,
      errors: [401, 403, 404],
    },
    async (context) => {
      const { service, app, params, client } = context;
      const { user, session } = callerOf(context);
      const userId = user.id;
      await service.db.transaction().execute(async (trx) => {
        await lockUser(trx, app.id, userId);
        await requireLiveSession(service, trx, app, userId, session.id);
        const deleted = await deleteDevice(trx, app, userId, params.device_id ?? '');
        if (!deleted) throw new WireError('user_not_found', 'Device not found');
        await requireWayToLogIn(trx, app, userId);
        const change = { appId: app.id, userId, client, details: { passkey: params.device_id } };
        await record(service, trx, { type: 'webauthn.deleted', ...change });
      });
      await notify(service, app, user, 'passkey_deleted', { visitor: client });
      return undefined;
    },
  ),
  route(
    {
      method: 'GET',
      path: '/currentuser/user-metadata',
      summary: 'Metadata of the user',
      access: 'user',
      answer: z.object({ user_metadata: metadata.nullable() }),
      errors: [401, 403],
    },
    async (context) => ({ user_metadata: publicUserView(callerOf(context).user, []).user_metadata }),
  ),
  route(
    {
      method: 'PATCH',
      path: '/currentuser/user-metadata',
      summary: 'Change fields that the schema opens to users. An invalid field refuses the whole change',
      access: 'user',
      body: bodies.metadata,
      answer: z.object({ user: currentUser }),
      errors: [400, 401, 403],
    },
    async (context) => {
      const { service, app, body, client } = context;
      const { user: caller, session } = callerOf(context);
      const { id } = caller;
      return service.db.transaction().execute(async (trx) => {
        const user = await lockUser(trx, app.id, id);
        if (!user) throw new WireError('invalid_access_token');
        const { proven } = await requireLiveSession(service, trx, app, id, session.id);
        const writer = proven ? 'known' : 'stranger';
        const open_metadata = noteOpenFields(user.open_metadata, body.user_metadata, writer);
        const merged = mergeMetadata(app.settings, user.metadata, body.user_metadata, 'profile');
        const changed = await trx
          .updateTable('users')
          .set({ metadata: merged, open_metadata, updated_at: service.clock() })
          .where('app_id', '=', app.id)
          .where('id', '=', id)
          .returningAll()
          .executeTakeFirstOrThrow();
        const fields = changedFields(user.metadata, merged);
        if (fields.length > 0) {
          const change = { appId: app.id, userId: id, client, details: { fields } };
          await record(service, trx, { type: 'metadata.changed', ...change });
        }
        return { user: await currentUserView(trx, changed) };
      });
    },
  ),
  route(
    {
      method: 'GET',
      path: '/currentuser/social-connections',
      summary: 'Social accounts of the user: none, as social login is not offered',
      access: 'user',
      answer: z.object({ social_connections: socialConnections }),
      errors: [401, 403],
    },
    async () => ({ social_connections: {} }),
  ),
  route(
    {
      method: 'DELETE',
      path: '/currentuser/social-connections/{type}',
      summary: 'Remove a social account: there is none',
      access: 'user',
      errors: [401, 403, 404],
    },
    async () => {
      throw new WireError('social_connection_not_found');
    },
  ),
];

/** @throws {@link WireError} `operation_not_allowed` if only a passkey could log the user in, and none is left */
async function requireWayToLogIn(trx: Queries, app: App, userId: string): Promise<void> {
  const { passkeys, otp, magicLink } = app.settings.authMethods;
  if (!passkeys.enabled || otp.enabled || magicLink.enabled) return;
  if ((await listDevices(trx, app.id, userId)).length === 0)
    throw new WireError('operation_not_allowed', 'Add another passkey first: this is the only way to log in');
}
