import { readFileSync, statSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeSchema, postgres, type TestDatabase } from '../../test/databases.ts';
import { built, run } from '../../test/process.ts';
import { secret } from '../../test/server.ts';
import { openStorage } from './database.ts';

const pathOf = (name: string) => fileURLToPath(new URL(`fixtures/tls/${name}`, import.meta.url));

// A managed PostgreSQL has a certificate of the provider's own CA.
describe('PostgreSQL with a private CA', () => {
  const sockets = new Set<Socket>();
  const tls = { cert: readFileSync(pathOf('server.pem')), key: readFileSync(pathOf('server.key')) };
  let asked = 0;
  // Speaks TLS for a PostgreSQL that does not: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
  const front = createServer((near) => {
    near.on('error', () => undefined);
    near.once('data', (request) => {
      expect(request).toHaveLength(8);
      asked += 1;
      near.write('S');
      const target = new URL(postgres());
      const far = connect(Number(target.port || 5432), target.hostname);
      const open = new TLSSocket(near, { isServer: true, ...tls });
      for (const socket of [near, far, open]) sockets.add(socket.on('error', () => near.destroy()));
      open.pipe(far).pipe(open);
    });
  });
  let database: TestDatabase;

  beforeAll(async () => {
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    database = await makeSchema(postgres());
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    front.close();
    await database.drop();
  });

  const locate = (parameters: Record<string, string>, host = 'localhost') => {
    const url = new URL(database.location);
    url.host = `${host}:${(front.address() as AddressInfo).port}`;
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url.href;
  };

  it.each([{ sslmode: 'verify-full' }, { sslmode: 'require' }])(
    'is trusted by sslrootcert with %o',
    async (mode) => {
      const before = asked;
      // The driver warns once that it takes `require` for `verify-full`, as documented.
      const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
      const storage = await openStorage(locate({ ...mode, sslrootcert: pathOf('ca.pem') }));
      expect((await sql`select 1 as one`.execute(storage.db)).rows).toEqual([{ one: 1 }]);
      expect(asked).toBeGreaterThan(before);
      await storage.close();
      warned.mockRestore();
    },
  );

  it('is not trusted without its CA, and the error names the host and how to fix it', async () => {
    await expect(openStorage(locate({ sslmode: 'verify-full' }))).rejects.toThrow(
      /^Cannot connect to PostgreSQL at localhost:\d+: .*certificate.*\. Trust the CA of the database: add sslrootcert=\/path\/to\/ca\.pem to the URL$/,
    );
  });

  it('is not trusted by another name', async () => {
    const location = locate({ sslmode: 'verify-full', sslrootcert: pathOf('ca.pem') }, '127.0.0.1');
    await expect(openStorage(location)).rejects.toThrow(/at 127\.0\.0\.1:\d+: .*does not match certificate/);
  });

  it('names a file that is missing', async () => {
    const location = locate({ sslmode: 'verify-full', sslrootcert: '/none/ca.pem' });
    await expect(openStorage(location)).rejects.toThrow(/^Cannot connect to PostgreSQL at .*\/none\/ca\.pem/);
  });

  it.skipIf(!built)('is trusted by NODE_EXTRA_CA_CERTS (needs a build)', async () => {
    const variables = {
      PASSAGE_SECRET: secret,
      PASSAGE_BASE_URL: 'http://localhost:3000',
      DATABASE_URL: locate({ sslmode: 'verify-full' }),
      LOG_LEVEL: 'silent',
    };
    const refused = run(['apps'], variables, '.');
    expect(await refused.ended).toBe(1);
    expect(refused.output()).toContain('Trust the CA of the database');
    const trusted = run(['apps'], { ...variables, NODE_EXTRA_CA_CERTS: pathOf('ca.pem') }, '.');
    expect(await trusted.ended).toBe(0);
  });
});

/** Whether everybody may enter the folders above a file: one of root's own is closed to others. */
function isReachable(path: string): boolean {
  const folder = dirname(path);
  return folder === path || ((statSync(folder).mode & 0o001) !== 0 && isReachable(folder));
}

// An image whose user has a number only. Nobody but root can start a process as somebody else.
it.runIf(built && process.getuid?.() === 0 && isReachable(fileURLToPath(import.meta.url)))(
  'starts for a user ID without a name, and asks for a user in the URL (needs a build)',
  async () => {
    const database = await makeSchema(postgres());
    const start = async (location: string) => {
      const variables = {
        PASSAGE_SECRET: secret,
        PASSAGE_BASE_URL: 'http://localhost:3000',
        DATABASE_URL: location,
        LOG_LEVEL: 'silent',
      };
      const command = run(['apps'], variables, '/', { uid: 54_321, gid: 54_321 });
      return { code: await command.ended, output: command.output() };
    };
    const named = new URL(database.location);
    named.username ||= userInfo().username;
    expect((await start(named.href)).code).toBe(0);
    const nameless = new URL(named);
    nameless.username = '';
    nameless.password = '';
    expect(await start(nameless.href)).toMatchObject({
      code: 1,
      output: expect.stringContaining('Name the user: postgres://user@host/database'),
    });
    await database.drop();
  },
);
