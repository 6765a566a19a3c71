import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { describeStored, makeSchema, postgres, type TestDatabase } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';
import { openStorage, type Storage } from './database.ts';

const day = 86_400;

describeStored('Clean-up', (make) => {
  const start = async () => {
    let database: TestDatabase | undefined;
    const server = await TestServer.start(
      async () => {
        database = await make();
        return database;
      },
      { rateLimits: {} },
    );
    // Read from the tables, because the APIs answer for expired rows that they do not exist.
    return { server, storage: await openStorage(database?.location ?? '') };
  };
  const count = async ({ db }: Storage, table: 'limits' | 'users') =>
    Number(
      (
        await db
          .selectFrom(table)
          .select((rows) => rows.fn.countAll().as('count'))
          .executeTakeFirstOrThrow()
      ).count,
    );

  it('deletes what has expired, and nothing else', async () => {
    const { server, storage } = await start();
    await server.register('ada@example.com');
    await server.createLink('ada@example.com');
    await server.sendCode('ada@example.com');
    await server.auth('POST', '/login/webauthn/start', {});
    const counts = async () => {
      const tables = [
        'handshakes',
        'codes',
        'links',
        'sessions',
        'limits',
        'users',
        'devices',
        'events',
      ] as const;
      const rows = await Promise.all(
        tables.map((table) => storage.db.selectFrom(table).selectAll().execute()),
      );
      return Object.fromEntries(tables.map((table, index) => [table, rows[index]?.length]));
    };
    const before = await counts();
    await server.server.runScheduled();
    expect(await counts()).toEqual(before);
    server.advance(day);
    await server.server.runScheduled();
    expect(await counts()).toEqual({ ...before, handshakes: 0, codes: 0, links: 0, limits: 0 });
    server.advance(90 * day);
    await server.server.runScheduled();
    expect(await counts()).toMatchObject({ sessions: 0, events: 0, users: 1, devices: 1 });
    await storage.close();
    await server[Symbol.asyncDispose]();
  });

  it('deletes more rows than one statement takes', async () => {
    const { server, storage } = await start();
    const rows = Array.from({ length: 2_500 }, (_, index) => ({
      id: `${index}`,
      count: 1,
      resets_at: server.now - (index < 2_400 ? 0 : -1),
    }));
    for (let first = 0; first < rows.length; first += 500) {
      await storage.db
        .insertInto('limits')
        .values(rows.slice(first, first + 500))
        .execute();
    }
    await server.server.runScheduled();
    expect(await count(storage, 'limits')).toBe(100);
    await storage.close();
    await server[Symbol.asyncDispose]();
  });

  it('deletes sign-ups that nobody finished for 30 days, and no other user', async () => {
    const { server, storage } = await start();
    const signUp = (identifier: string) => server.sendCode(identifier, 'register');
    const list = async () =>
      (await server.manage('GET', '/users?limit=500')).body.users
        .map(({ email }: { email: string }) => email.split('@')[0])
        .sort();
    const { otpId, code } = await signUp('finished@example.com');
    await server.session('POST', '/otp/activate', { otp_id: otpId, otp: code });
    await signUp('unfinished@example.com');
    await signUp('known@example.com');
    await signUp('linked@example.com');
    await signUp('returning@example.com');
    await signUp('deactivated@example.com');
    const { users } = (await server.manage('GET', '/users')).body;
    const idOf = (name: string) => users.find((user: { email: string }) => user.email.startsWith(name)).id;
    await server.manage('PATCH', `/users/${idOf('known')}`, { email: 'known@example.com' });
    await server.manage('PATCH', `/users/${idOf('deactivated')}/deactivate`);
    await server.createLink('linked@example.com', { ttl: 5 });
    await server.manage('POST', '/users', { email: 'made@example.com' });
    await server.server.apps.importUsers(server.appId, [
      { email: 'imported@example.com', status: 'pending' },
    ]);
    await server.register('passkey@example.com');

    server.advance(30 * day - 1);
    await server.server.runScheduled();
    expect(await list()).toContain('unfinished');
    server.advance(day);
    // This user has a pending code.
    await signUp('returning@example.com');
    await signUp('new@example.com');
    await server.server.runScheduled();
    const kept = ['deactivated', 'finished', 'imported', 'known', 'linked', 'made', 'new', 'passkey'];
    expect(await list()).toEqual([...kept, 'returning']);
    expect(server.log.filter((line) => line.includes('signups.deleted'))).toEqual([
      expect.stringMatching(/"users":1,"event":"signups.deleted","actor":"server"/),
    ]);
    server.advance(day);
    await server.server.runScheduled();
    expect(await list()).toEqual(kept);
    await storage.close();
    await server[Symbol.asyncDispose]();
  });
});

it('keeps an unfinished sign-up that the back end takes over while the clean-up waits for it (PostgreSQL)', async () => {
  const { location, drop } = await makeSchema(postgres());
  await using server = await TestServer.start(async () => ({ location, drop }));
  const storage = await openStorage(location);
  const identifiers = ['left@example.com', 'invited@example.com'];
  for (const identifier of identifiers) await server.auth('POST', '/users', { identifier });
  server.advance(31 * day);
  let cleaned = Promise.resolve<unknown>(undefined);
  await storage.db.transaction().execute(async (trx) => {
    const changed = trx
      .updateTable('users')
      .set({ origin: 'back_end' })
      .where('email', '=', 'invited@example.com');
    await changed.execute();
    cleaned = server.server.runScheduled();
    await waitForLock(storage);
  });
  await cleaned;
  const left = await storage.db.selectFrom('users').select('email').execute();
  expect(left).toEqual([{ email: 'invited@example.com' }]);
  await storage.close();
});

/** Waits until a statement on the users waits for another transaction. */
async function waitForLock({ db }: Storage): Promise<void> {
  for (;;) {
    const waiting = await sql`select 1 from pg_stat_activity
      where wait_event_type = 'Lock' and datname = current_database() and query like 'delete from "users"%'`.execute(
      db,
    );
    if (waiting.rows.length > 0) return;
    await delay(20);
  }
}
