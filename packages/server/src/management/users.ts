import { z } from 'zod';
import { WireError } from '../errors.ts';
import { record } from '../events/record.ts';
import { type RequestContext, type Route, route } from '../http/routes.ts';
import { bodies, device, passageUser } from '../http/schemas.ts';
import { deleteUser, endAll, endPending } from '../logins/endings.ts';
import { freeAddress } from '../logins/signup.ts';
import { notify } from '../messages/notices.ts';
import type { App } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { UserRow, UserTable } from '../storage/schema.ts';
import { readIdentifiers } from '../users/identifiers.ts';
import { changedFields, mergeMetadata, noteOpenFields } from '../users/metadata.ts';
import { createUser, listDevices, lockUser, recordAdoption, requireUser } from '../users/users.ts';
import { changedUserView, deviceView, passageUserView } from '../users/views.ts';
import { findWholeUser } from '../users/whole.ts';
import { deleteDevice } from '../webauthn/devices.ts';

const oneUser = z.object({ user: passageUser });
type Body<K extends keyof typeof bodies> = z.infer<(typeof bodies)[K]>;

export const userRoutes: Route[] = [
  route(
    {
      method: 'POST',
      path: '/users',
      summary: 'Create a pending user',
      access: 'key',
      body: bodies.userArgs,
      status: 201,
      answer: oneUser,
      errors: [400, 401],
    },
    addUser,
  ),
  route(
    {
      method: 'GET',
      path: '/users/{user_id}',
      summary: 'Get a user',
      access: 'key',
      answer: oneUser,
      errors: [401],
    },
    async ({ service, app, params }) => {
      const user = await findWholeUser(service.storage, app.id, params.user_id ?? '');
      if (!user) throw new WireError('user_not_found');
      return { user: passageUserView(user) };
    },
  ),
  route(
    {
      method: 'PATCH',
      path: '/users/{user_id}',
      summary: 'Change a user. Metadata is merged; a new address is not verified',
      access: 'key',
      body: bodies.userArgs,
      answer: oneUser,
      errors: [400, 401],
    },
    updateUser,
  ),
  route(
    {
      method: 'DELETE',
      path: '/users/{user_id}',
      summary: 'Delete a user with all their data',
      access: 'key',
      errors: [401],
    },
    async ({ service, app, params, client }) => {
      const userId = params.user_id ?? '';
      await service.db.transaction().execute(async (trx) => {
        if (!(await lockUser(trx, app.id, userId))) throw new WireError('user_not_found');
        await deleteUser(service, trx, app.id, userId, client);
      });
      return undefined;
    },
  ),
  route(
    {
      method: 'PATCH',
      path: '/users/{user_id}/activate',
      summary: 'Let a user log in again',
      access: 'key',
      answer: oneUser,
      errors: [401],
    },
    (context) => setStatus(context, 'active'),
  ),
  route(
    {
      method: 'PATCH',
      path: '/users/{user_id}/deactivate',
      summary: 'Prevent a user from logging in, and end their sessions',
      access: 'key',
      answer: oneUser,
      errors: [401],
    },
    (context) => setStatus(context, 'inactive'),
  ),
  route(
    {
      method: 'GET',
      path: '/users/{user_id}/devices',
      summary: 'Passkeys of a user',
      access: 'key',
      answer: z.object({ devices: z.array(device) }),
      errors: [401],
    },
    async ({ service, app, params }) => {
      const user = await requireUser(service.db, app.id, params.user_id ?? '');
      return { devices: (await listDevices(service.db, app.id, user.id)).map(deviceView) };
    },
  ),
  route(
    {
      method: 'DELETE',
      path: '/users/{user_id}/devices/{device_id}',
      summary: 'Delete a passkey of a user, and end the sessions it opened',
      access: 'key',
      errors: [401],
    },
    async ({ service, app, params, client }) => {
      const user = await service.db.transaction().execute(async (trx) => {
        const user = await requireLocked(trx, app, params.user_id);
        if (!(await deleteDevice(trx, app, user.id, params.device_id ?? '')))
          throw new WireError('device_not_found');
        const change = { appId: app.id, userId: user.id, client, details: { passkey: params.device_id } };
        await record(service, trx, { type: 'webauthn.revoked', ...change });
        return user;
      });
      await notify(service, app, user, 'passkey_deleted');
      return undefined;
    },
  ),
  route(
    {
      method: 'DELETE',
      path: '/users/{user_id}/tokens',
      summary:
        'End all sessions, codes, links and ceremonies of a user. Access tokens read until they expire',
      access: 'key',
      errors: [401],
    },
    async ({ service, app, params, client }) => {
      const user = await service.db.transaction().execute(async (trx) => {
        const user = await requireLocked(trx, app, params.user_id);
        await endAll(trx, app.id, user.id, service.clock());
        await record(service, trx, { type: 'sessions.revoked', appId: app.id, userId: user.id, client });
        return user;
      });
      await notify(service, app, user, 'sessions_ended');
      return undefined;
    },
  ),
];

async function requireLocked(trx: Queries, app: App, id: string | undefined): Promise<UserRow> {
  const user = await lockUser(trx, app.id, id ?? '');
  if (!user) throw new WireError('user_not_found');
  return user;
}

async function addUser({ service, app, body, client }: RequestContext<Body<'userArgs'>, unknown>) {
  if (!body.email && !body.phone) {
    throw new WireError('invalid_request', 'email: cannot be blank; phone: cannot be blank.');
  }
  const addresses = readIdentifiers(body);
  const metadata = mergeMetadata(app.settings, null, body.user_metadata, 'any');
  const user = await service.db
    .transaction()
    .execute((trx) => createUser(service, trx, app, client, { ...addresses, metadata }));
  if (!user) throw new WireError('invalid_request', 'identifier: already exists.');
  return { user: await changedUserView(service.db, user) };
}

async function updateUser({ service, app, params, body, client }: RequestContext<Body<'userArgs'>, unknown>) {
  const { email, phone } = readIdentifiers(body);
  const { before, view } = await service.db.transaction().execute(async (trx) => {
    const user = await requireLocked(trx, app, params.user_id);
    await recordAdoption(service, trx, client, user);
    const changes: Partial<UserTable> = {
      ...(email &&
        email !== user.email && { email, email_verified: 0, email_proven_at: null, email_open: 0 }),
      ...(phone &&
        phone !== user.phone && { phone, phone_verified: 0, phone_proven_at: null, phone_open: 0 }),
    };
    for (const channel of ['email', 'phone'] as const) {
      const value = changes[channel];
      if (!value) continue;
      if (!(await freeAddress(service, trx, user, { channel, value }, client)))
        throw new WireError('invalid_request', 'identifier: already exists.');
      const change = { appId: app.id, userId: user.id, client, addresses: [value] };
      await record(service, trx, { type: `${channel}.changed`, ...change });
    }
    if (changes.email || changes.phone) await endPending(trx, app.id, user.id, service.clock());
    const metadata = mergeMetadata(app.settings, user.metadata, body.user_metadata, 'any');
    const open_metadata = noteOpenFields(user.open_metadata, body.user_metadata, 'known');
    const fields = changedFields(user.metadata, metadata);
    if (fields.length > 0) {
      const change = { appId: app.id, userId: user.id, client, details: { fields } };
      await record(service, trx, { type: 'metadata.changed', ...change });
    }
    const changed = await trx
      .updateTable('users')
      // A user of an unfinished sign-up belongs to the back end from now on, so that no stranger registers a passkey
      // for it.
      .set({ ...changes, metadata, open_metadata, origin: 'back_end', updated_at: service.clock() })
      .where('app_id', '=', app.id)
      .where('id', '=', user.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    return { before: user, view: await changedUserView(trx, changed) };
  });
  for (const [channel, value] of [
    ['email', view.email],
    ['phone', view.phone],
  ] as const) {
    const changed = value && value !== before[channel];
    if (changed) await notify(service, app, before, 'address_changed', { address: { channel, value } });
  }
  return { user: view };
}

async function setStatus(
  { service, app, params, client }: RequestContext<unknown, unknown>,
  status: 'active' | 'inactive',
) {
  return service.db.transaction().execute(async (trx) => {
    await recordAdoption(service, trx, client, await requireLocked(trx, app, params.user_id));
    const user = await trx
      .updateTable('users')
      // The back end knows the user from now on: what strangers enter into the sign-up counts no more.
      .set({ status, origin: 'back_end', updated_at: service.clock() })
      .where('app_id', '=', app.id)
      .where('id', '=', params.user_id ?? '')
      .returningAll()
      .executeTakeFirstOrThrow();
    if (status === 'inactive') await endAll(trx, app.id, user.id, service.clock());
    const type = status === 'inactive' ? 'user.deactivated' : 'user.activated';
    await record(service, trx, { type, appId: app.id, userId: user.id, client });
    return { user: await changedUserView(trx, user) };
  });
}
