import { sql } from 'kysely';
import { WireError } from '../errors.ts';
import { record } from '../events/record.ts';
import type { EventName } from '../events/types.ts';
import { notify } from '../messages/notices.ts';
import type { App, Client, Service } from '../service.ts';
import type { Queries } from '../storage/database.ts';
import type { Channel, UserRow } from '../storage/schema.ts';
import { defer, prepare } from '../storage/statements.ts';
import { signAccessToken } from './accesstoken.ts';
import { type Proof, proveByLogin } from './proof.ts';
import { type AuthResult, openSession, type SessionStart } from './sessions.ts';
import { isUnfinishedSignup, requireSignup } from './signup.ts';

/** How a user logged in. */
export interface Login {
  /** As it was locked. */
  user: UserRow;
  client: Client;
  /** Event to record. */
  event: EventName;
  redirectUrl?: string | undefined;
  /** The code or link that was used; absent for a passkey. */
  proof?: Proof;
  session: SessionStart;
}

/**
 * Logs a user in: counts the login, activates a pending user, opens a session.
 *
 * @param prove Locks the user, marks the proof as used, and returns its user. It runs in the same transaction, so that proof
 * and login succeed or fail together.
 * @throws {@link WireError} `user_not_active`, and the errors of `prove`
 */
export async function logIn(
  service: Service,
  app: App,
  prove: (trx: Queries) => Promise<Login>,
): Promise<AuthResult> {
  // Read first: inside the transaction it would wait for a connection while holding one.
  const key = await service.keys.signing(app.id);
  const { login, session, owner } = await service.db.transaction().execute(async (trx) => {
    const login = await prove(trx);
    const { user, proof } = login;
    // Sign-up may have been closed since the code, link or ceremony began.
    if (isUnfinishedSignup(user)) requireSignup(app);
    const owner = proof && (await proveByLogin(service, trx, app, user, proof, login.client));
    const start = { ...login.session, ...(owner && { proven: owner.proven }) };
    await countLogin(service, trx, app, login);
    return { login, session: await openSession(service, trx, app, user.id, start), owner };
  });
  if (owner?.removed.length) {
    const { removed } = owner;
    await notify(service, app, owner.user, 'unproven_removed', { visitor: login.client, removed });
  }
  return {
    auth_token: await signAccessToken(service, app, key, login.user.id, session),
    redirect_url: login.redirectUrl || app.settings.redirectUrl,
    ...session.refresh,
  };
}

async function countLogin(service: Service, trx: Queries, app: App, login: Login): Promise<void> {
  const { user, client, event: type, proof } = login;
  if (user.status === 'inactive') throw new WireError('user_not_active');
  const count = counts[proof?.channel ?? 'none'];
  await defer(trx, count({ appId: app.id, id: user.id, now: service.clock() }));
  const action = user.login_count === 0 ? 'register' : 'login';
  await record(service, trx, { appId: app.id, userId: user.id, type, action, client });
}

/** By the address that the login proves. */
const counts = { none: prepareCount(), email: prepareCount('email'), phone: prepareCount('phone') };

function prepareCount(proven?: Channel) {
  return prepare((db, { appId, id, now }: { appId: string; id: string; now: number }) =>
    db
      .updateTable('users')
      .set((eb) => ({
        status: 'active',
        login_count: eb('login_count', '+', sql.lit(1)),
        last_login_at: now,
        updated_at: now,
        ...(proven && { [`${proven}_verified`]: sql.lit(1) }),
      }))
      .where('app_id', '=', appId)
      .where('id', '=', id),
  );
}
