import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, describe, expect, it } from 'vitest';
import { describeStored, makeSchema, postgres, type TestDatabase } from '../test/databases.ts';
import { built, portOf, run } from '../test/process.ts';
import { baseUrl, secret, TestServer, type TestServerOptions } from '../test/server.ts';
import { createPassageServer } from './index.ts';
import { openStorage, type Storage } from './storage/database.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-schedule-'));
afterAll(() => rmSync(folder, { recursive: true }));

const day = 86_400;
const all = ['clean-up', 'unfinished-signups', 'signing-keys'];

describeStored('Scheduled work', (make) => {
  const start = async (options: TestServerOptions = {}) => {
    const database = await make();
    return { database, server: await TestServer.start(async () => database, options) };
  };
  const keysOf = async ({ server, appId }: TestServer) =>
    (await server.apps.listSigningKeys(appId)).map(({ id }) => id);

  it('runs when it is due', async () => {
    const { server } = await start();
    expect(await server.server.runScheduled()).toEqual({ completed: all, failed: [] });
    expect(await server.server.runScheduled()).toEqual({ completed: [], failed: [] });
    server.advance(599);
    expect((await server.server.runScheduled()).completed).toEqual([]);
    server.advance(1);
    expect((await server.server.runScheduled()).completed).toEqual(['clean-up']);
    server.advance(day);
    expect((await server.server.runScheduled()).completed).toEqual(all);
    await server[Symbol.asyncDispose]();
  });

  it('goes on when a job fails, and tries that one again at its next time', async () => {
    const { server, database } = await start();
    const storage = await openStorage(database.location);
    await sql`alter table links rename to hidden`.execute(storage.db);
    expect(await server.server.runScheduled()).toEqual({
      completed: ['signing-keys'],
      failed: ['clean-up', 'unfinished-signups'],
    });
    const failed = server.log.filter((line) => line.startsWith('Scheduled job failed'));
    expect(failed).toHaveLength(2);
    expect(failed.join('\n')).toMatch(/"job":"clean-up","reason":".*links/);
    const { text } = await server.call('GET', '/metrics');
    expect(text).toContain('passage_job_failures_total{job="clean-up"} 1');
    expect(text).not.toContain('passage_job_last_success_timestamp_seconds{job="clean-up"}');

    await sql`alter table hidden rename to links`.execute(storage.db);
    expect(await server.server.runScheduled()).toEqual({ completed: [], failed: [] });
    server.advance(600);
    expect(await server.server.runScheduled()).toEqual({ completed: ['clean-up'], failed: [] });
    const { text: later } = await server.call('GET', '/metrics');
    expect(later).toContain(
      `passage_job_last_success_timestamp_seconds{job="clean-up"} ${server.now / 1_000}`,
    );
    await storage.close();
    await server[Symbol.asyncDispose]();
  });

  it('is waited for when the server closes', async () => {
    const { server } = await start();
    const pass = server.server.runScheduled();
    await server.server.close();
    expect((await pass).failed).toEqual([]);
    expect(await server.server.runScheduled()).toEqual({ completed: [], failed: [] });
    await server[Symbol.asyncDispose]();
  });

  it('rotates signing keys of the age that signingKeyRotation says, once', async () => {
    const { server, database } = await start({ signingKeyRotation: 90 });
    const { token } = await server.signIn('ada@example.com');
    const [first] = await keysOf(server);
    server.advance(90 * day - 1);
    await server.server.runScheduled();
    expect(await keysOf(server)).toEqual([first]);
    server.advance(3_600);
    await server.server.runScheduled();
    const rotated = await keysOf(server);
    expect(rotated).toEqual([first, expect.any(String)]);
    expect(server.log.filter((line) => line.includes('signing_key.rotated'))).toHaveLength(1);
    server.advance(3_600);
    await server.server.runScheduled();
    expect((await keysOf(server)).at(-1)).toBe(rotated[1]);
    expect((await server.auth('GET', '/currentuser', undefined, { token })).status).toBe(401);

    // As after a restart: the new server knows nothing of what the old one did.
    await server.server.close();
    const again = await createPassageServer({
      baseUrl,
      secret,
      database: database.location,
      signingKeyRotation: 90,
      clock: () => server.now + 3_600_000,
    });
    expect(await again.runScheduled()).toEqual({ completed: all, failed: [] });
    expect((await again.apps.listSigningKeys(server.appId)).map(({ id }) => id)).toEqual([rotated[1]]);
    await again.close();
    await database.drop();
  });

  it('keeps tokens of the old key valid', async () => {
    const { server } = await start({ signingKeyRotation: 1 });
    server.advance(day);
    const { token } = await server.signIn('ada@example.com');
    await server.server.runScheduled();
    expect(await keysOf(server)).toHaveLength(2);
    expect((await server.auth('GET', '/currentuser', undefined, { token })).status).toBe(200);
    await server[Symbol.asyncDispose]();
  });

  it('rotates nothing by default', async () => {
    const { server } = await start();
    server.advance(3_650 * day);
    await server.server.runScheduled();
    expect(await keysOf(server)).toHaveLength(1);
    await server[Symbol.asyncDispose]();
  });

  it.skipIf(!built)('is done by `passage-server maintain` (needs a build)', async () => {
    const { server, database } = await start({ signingKeyRotation: 1 });
    const maintain = async (rotation: string) => {
      const variables = {
        PASSAGE_SECRET: secret,
        PASSAGE_BASE_URL: baseUrl,
        DATABASE_URL: database.location,
        PASSAGE_SIGNING_KEY_ROTATION: rotation,
      };
      const one = run(['maintain'], variables, folder);
      return { code: await one.ended, output: one.output() };
    };
    await server.server.runScheduled();
    const busy = await maintain('1');
    expect(busy).toEqual(
      database.location.startsWith('postgres')
        ? { code: 0, output: 'Another process runs the scheduled jobs.\n' }
        : { code: 1, output: expect.stringContaining('in use by another Passage server') },
    );
    await server.server.close();
    const done = all.map((name) => `${name}: done\n`).join('');
    expect(await maintain('1')).toEqual({ code: 0, output: done });
    expect(await maintain('1.5')).toEqual({
      code: 1,
      output: expect.stringContaining(
        'PASSAGE_SIGNING_KEY_ROTATION must be a whole number of days, 1 to 3650',
      ),
    });
    await database.drop();
  });
});

describe('On PostgreSQL', () => {
  const holders = async ({ db }: Storage) => {
    const { rows } = await sql<{ holder: string }>`
      select split_part(value, ' ', 2) as holder from meta
        where name = 'turn' and split_part(value, ' ', 1)::bigint > extract(epoch from clock_timestamp())`.execute(
      db,
    );
    return rows.map(({ holder }) => holder);
  };
  const begin = async () => {
    const database = await makeSchema(postgres());
    return { database, storage: await openStorage(database.location) };
  };
  const end = async ({ database, storage }: { database: TestDatabase; storage: Storage }) => {
    await storage.close();
    await database.drop();
  };

  // Behind a pooler, connections outlive the process.
  it('one process does the work, and the next one when that one no longer renews its turn', async () => {
    const stored = await begin();
    const { storage, database } = stored;
    let now = Date.now();
    const clock = () => now;
    const start = () => createPassageServer({ baseUrl, secret, database: database.location, clock });
    const [first, second] = [await start(), await start()];
    const names = async (server: typeof first) => {
      now += 86_400_000;
      return (await server.runScheduled()).completed;
    };
    const pass = (seconds: number) =>
      sql`update meta set value = split_part(value, ' ', 1)::bigint - ${sql.lit(seconds)} || ' ' || split_part(value, ' ', 2)
        where name = 'turn'`.execute(storage.db);
    expect(await names(first)).toEqual(all);
    expect(await names(second)).toEqual([]);
    expect(await names(first)).toEqual(all);
    await pass(10);
    expect(await names(second)).toEqual([]);
    expect(await names(first)).toEqual(all);
    await pass(10);
    expect(await names(second)).toEqual([]);
    await pass(6);
    expect(await holders(storage)).toEqual([]);
    expect(await names(second)).toEqual(all);
    expect(await names(first)).toEqual([]);
    await second.close();
    expect(await names(first)).toEqual(all);
    expect(await holders(storage)).toHaveLength(1);
    await first.close();
    expect(await holders(storage)).toEqual([]);
    await end(stored);
  });

  it('a process that lost its turn leaves it to the next one when it ends', async () => {
    const stored = await begin();
    const [first, second] = [await openStorage(stored.database.location), stored.storage];
    expect(await first.turn.take()).toBe(true);
    await sql`update meta set value = '0 ' || split_part(value, ' ', 2) where name = 'turn'`.execute(
      second.db,
    );
    expect(await second.turn.take()).toBe(true);
    await first.close();
    expect(await holders(second)).toHaveLength(1);
    await end(stored);
  });

  it('one of many processes that start together gets the turn', async () => {
    const stored = await begin();
    const storages = await Promise.all(
      Array.from({ length: 5 }, () => openStorage(stored.database.location)),
    );
    const taken = await Promise.all(storages.map(({ turn }) => turn.take()));
    expect(taken.filter(Boolean)).toHaveLength(1);
    for (const storage of storages) await storage.close();
    await end(stored);
  });

  it('servers in two schemas do not wait for each other', async () => {
    const databases = [await makeSchema(postgres()), await makeSchema(postgres())];
    const servers = [];
    for (const { location: database } of databases)
      servers.push(await createPassageServer({ baseUrl, secret, database }));
    for (const server of servers) expect((await server.runScheduled()).completed).toEqual(all);
    for (const server of servers) await server.close();
    for (const { drop } of databases) await drop();
  });

  it.skipIf(!built)(
    'another process takes over within seconds when the one that has the turn is killed (needs a build)',
    async () => {
      const stored = await begin();
      const variables = {
        PASSAGE_SECRET: secret,
        PASSAGE_BASE_URL: 'http://localhost:3000',
        DATABASE_URL: stored.database.location,
      };
      const start = () => run(['start', '--port', '0'], variables, folder);
      const first = start();
      await portOf(first);
      await expect.poll(() => holders(stored.storage), { timeout: 15_000 }).toHaveLength(1);
      const [before] = await holders(stored.storage);
      const second = start();
      await portOf(second);
      first.child.kill('SIGKILL');
      await first.ended;
      await expect
        .poll(() => holders(stored.storage), { timeout: 30_000 })
        .toEqual([expect.not.toSatisfy((holder) => holder === before)]);
      second.child.kill('SIGTERM');
      expect(await second.ended).toBe(0);
      await expect.poll(() => holders(stored.storage)).toEqual([]);
      await end(stored);
    },
    60_000,
  );
});
