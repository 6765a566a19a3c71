import { z } from 'zod';
import { WireError } from '../errors.ts';
import { type Route, route } from '../http/routes.ts';
import { authResult, bodies, handshake, publicUser } from '../http/schemas.ts';
import { countUp, countUpAnd } from '../limits/limits.ts';
import { resolvePasskeys, resolveRegistrant } from '../logins/enumeration.ts';
import { type Login, logIn } from '../logins/logins.ts';
import { requireMethod, requireSignup, requireUnclaimed } from '../logins/signup.ts';
import type { Queries } from '../storage/database.ts';
import { runAll } from '../storage/statements.ts';
import { readIdentifier } from '../users/identifiers.ts';
import { devicesOf, lockUser, userLock, userOf } from '../users/users.ts';
import { strangerView } from '../users/views.ts';
import {
  deviceOf,
  deviceUse,
  insertDevice,
  requireAssertion,
  requireAttestation,
  unknownHandshake,
} from '../webauthn/devices.ts';
import {
  endHandshake,
  handshakeEnd,
  handshakeTake,
  isOutlived,
  startLogin,
  startRegistration,
  takeHandshake,
} from '../webauthn/handshakes.ts';

const started = z.object({ handshake, user: publicUser.nullable() });
const finished = z.object({ auth_result: authResult });

export const passkeyRoutes: Route[] = [
  route(
    {
      method: 'POST',
      path: '/register/webauthn/start',
      leveled: true,
      summary: 'Begin to register a passkey',
      access: 'public',
      body: bodies.registerStart,
      answer: started,
      errors: [400, 403, 429],
    },
    async ({ service, app, body, client }) => {
      await countUp(service, 'startsPerIp', app.id, client.ip);
      requireMethod(app, 'passkeys');
      requireSignup(app);
      const identifier = readIdentifier(app, body.identifier);
      const attachment = body.authenticator_attachment;
      const { user, decoy } = await resolveRegistrant(service, app, client, identifier);
      requireUnclaimed(app, user);
      const registrant = { id: user.id, name: identifier.value, decoy };
      return {
        handshake: await startRegistration(service, app, 'register', registrant, [], attachment),
        user: strangerView(user, [], identifier),
      };
    },
  ),
  route(
    {
      method: 'POST',
      path: '/register/webauthn/finish',
      summary: 'Register a passkey and log in',
      access: 'public',
      body: bodies.registerFinish,
      status: 201,
      answer: finished,
      errors: [400, 403, 429],
    },
    async ({ service, app, body, client }) => {
      await countUp(service, 'startsPerIp', app.id, client.ip);
      requireMethod(app, 'passkeys');
      const taken = await takeHandshake(service, app, 'register', body.handshake_id);
      // Before the user is compared, so that a wrong answer does not reveal a decoy.
      const credential = await requireAttestation(service, app, taken, body.handshake_response);
      if (taken?.user_id !== body.user_id) throw unknownHandshake();
      const prove = async (trx: Queries): Promise<Login> => {
        const user = await lockUser(trx, app.id, body.user_id);
        if (!user) throw new WireError('user_not_found');
        requireUnclaimed(app, user);
        if (!(await endHandshake(trx, taken))) throw unknownHandshake();
        const { id: deviceId } = await insertDevice(service, trx, app, user, credential, client);
        const session = { method: 'passkey', deviceId, proven: false } as const;
        return { user, client, event: 'user.registered', session };
      };
      return { auth_result: await logIn(service, app, prove) };
    },
  ),
  route(
    {
      method: 'POST',
      path: '/login/webauthn/start',
      leveled: true,
      summary: 'Begin to log in with a passkey. Without an identifier, any discoverable passkey is accepted',
      access: 'public',
      body: bodies.loginStart,
      answer: started,
      errors: [400, 403, 404, 409, 429],
    },
    async ({ service, app, body, client }) => {
      requireMethod(app, 'passkeys');
      if (!body.identifier) {
        await countUp(service, 'startsPerIp', app.id, client.ip);
        return { handshake: await startLogin(service, app, null, []), user: null };
      }
      const identifier = readIdentifier(app, body.identifier);
      const [[known], devices] = await countUpAnd(service, 'startsPerIp', app.id, client.ip, [
        userOf(app.id, identifier),
        devicesOf(app.id, identifier),
      ]);
      const { userId, credentials, user } = await resolvePasskeys(service, app, identifier, known, devices);
      return { handshake: await startLogin(service, app, userId, credentials), user };
    },
  ),
  route(
    {
      method: 'POST',
      path: '/login/webauthn/finish',
      leveled: true,
      summary: 'Log in with a passkey',
      access: 'public',
      body: bodies.loginFinish,
      answer: finished,
      errors: [400, 401, 403, 429],
    },
    async ({ service, app, body, client }) => {
      requireMethod(app, 'passkeys');
      const { handshake_id, handshake_response: response } = body;
      // The challenge has no second try, even if the limit is exceeded.
      const [[handshake], [found]] = await countUpAnd(service, 'startsPerIp', app.id, client.ip, [
        handshakeTake(service, app, handshake_id),
        deviceOf({ appId: app.id, credentialId: response.id }),
      ]);
      const taken = handshake?.ceremony === 'login' ? handshake : undefined;
      const { device, use } = await requireAssertion(service, app, taken, found, response, client);
      if (body.user_id && body.user_id !== device.user_id) throw new WireError('webauthn_login_failed');
      const prove = async (trx: Queries): Promise<Login> => {
        const [[user], ended, used] = await runAll(trx, [
          userLock({ appId: app.id, id: device.user_id }),
          handshakeEnd({ idHash: taken?.id_hash ?? '' }),
          deviceUse(service, device, use),
        ]);
        const live = user && taken && !isOutlived(service, taken, user) && ended.length > 0;
        if (!live || used.length === 0) throw new WireError('webauthn_login_failed');
        const session = { method: 'passkey', deviceId: device.id, proven: device.proven === 1 } as const;
        return { user, client, event: 'webauthn.login.completed', session };
      };
      return { auth_result: await logIn(service, app, prove) };
    },
  ),
];
