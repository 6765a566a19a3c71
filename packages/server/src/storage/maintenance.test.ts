import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';
import { openStorage } from './database.ts';
import { sweep } from './maintenance.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-'));
afterAll(() => rmSync(folder, { recursive: true }));

describeDatabases('Sweeping', (make) => {
  it('deletes what has expired, and nothing else', async () => {
    const database = await make();
    // A database in memory cannot be looked into from outside.
    const location = database.location === ':memory:' ? join(folder, 'sweep.db') : database.location;
    const server = await TestServer.start(async () => ({ ...database, location }), { rateLimits: {} });
    await server.register('ada@example.com');
    await server.createLink('ada@example.com');
    await server.sendCode('ada@example.com');
    await server.auth('POST', '/login/webauthn/start', {});
    const storage = await openStorage(location);
    const count = async () => {
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
    const before = await count();
    await sweep(storage.db, server.now);
    expect(await count()).toEqual(before);
    await sweep(storage.db, server.now + 86_400_000);
    expect(await count()).toEqual({ ...before, handshakes: 0, codes: 0, links: 0, limits: 0 });
    await sweep(storage.db, server.now + 91 * 86_400_000);
    expect(await count()).toMatchObject({ sessions: 0, events: 0, users: 1, devices: 1 });
    await storage.close();
    await server[Symbol.asyncDispose]();
  });
});
