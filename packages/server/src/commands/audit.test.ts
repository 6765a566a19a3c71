import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeStored, type TestDatabase } from '../../test/databases.ts';
import { built, run } from '../../test/process.ts';
import { secret, TestServer } from '../../test/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-audit-'));
afterAll(() => rmSync(folder, { recursive: true }));

const variables = { PASSAGE_SECRET: secret, PASSAGE_BASE_URL: 'http://localhost:3000' };

interface Shown {
  type: string;
  appId: string | null;
  userId: string | null;
  actor: { kind: string; id: string | null };
  userAgent: string | null;
  details: Record<string, unknown>;
}

describe.skipIf(!built)('audit (needs a build)', () => {
  describeStored('beside a server', (make) => {
    let database: TestDatabase;
    let passage: TestServer;

    beforeAll(async () => {
      passage = await TestServer.start(async () => {
        database = await make();
        return database;
      });
    });
    afterAll(() => passage[Symbol.asyncDispose]());

    const end = async (...args: string[]) => {
      const one = run(args, { ...variables, DATABASE_URL: database.location }, folder);
      return { code: await one.ended, output: one.output() };
    };
    const audit = async (...args: string[]): Promise<Shown[]> => {
      const { code, output } = await end('audit', ...args, '--json');
      expect({ code, output }).toMatchObject({ code: 0 });
      return JSON.parse(output);
    };

    it('lists what commands did, with the command as its actor', async () => {
      const { appId } = passage;
      const lines = Array.from({ length: 601 }, (_, index) =>
        JSON.stringify({ id: `u${index}`, email: `u${index}@example.com` }),
      );
      const file = join(folder, 'users.jsonl');
      writeFileSync(file, lines.join('\n'));
      const steps = [
        ['users', 'import', appId, file],
        ['users', 'import', appId, file],
        ['users', 'create', '--email', 'grace@example.com'],
        ['users', 'deactivate', 'grace@example.com'],
        ['users', 'link', 'u1', '--minutes', '5'],
        ['apps', 'update', appId, 'name=Shop'],
        ['keys', 'rotate', appId, '--now'],
        ['users', 'delete', 'u600', '--yes'],
        ['restored'],
      ];
      for (const step of steps) expect(await end(...step)).toMatchObject({ code: 0 });
      const rows = await audit('--actor', 'command');
      expect(rows.map(({ type }) => type)).toEqual([
        'backup.restored',
        'user.deleted',
        'signing_key.rotated',
        'app.updated',
        'magic_link.created',
        'user.adopted',
        'user.deactivated',
        'user.created',
        'users.imported',
      ]);
      expect(rows.at(-1)).toMatchObject({ appId, userId: null, details: { users: 601 } });
      expect(rows[0]).toMatchObject({ appId: null, actor: { kind: 'command', id: null } });
      expect(rows.every(({ userAgent }) => userAgent === 'passage-server command')).toBe(true);
      expect(await audit(appId, '--type', 'backup')).toEqual([]);
      expect((await end('audit', '--type', 'app.updated')).output).toMatch(
        /^\d{4}-\S+Z {2}app\.updated {2}\S+ {2}- {2}by command {2}- {2}\{"settings":\{"name":\{"from":"Passage","to":"Shop"}}}\n$/,
      );
    }, 120_000);

    it('filters by app, user, type, actor and time, also for deleted users and apps', async () => {
      const { appId, server } = passage;
      const [key] = await server.apps.listApiKeys(appId);
      const { body } = await passage.manage('POST', '/users', { email: 'alan@example.com' });
      const userId: string = body.user.id;
      await passage.manage('PATCH', `/users/${userId}/deactivate`);
      const other = await server.apps.create({ name: 'Gone' });
      await server.apps.delete(other.appId);

      const types = (rows: Shown[]) => rows.map(({ type }) => type);
      const both = ['user.deactivated', 'user.created'];
      expect(types(await audit('--user', 'Alan@example.com'))).toEqual(both);
      expect(types(await audit(appId, '--user', userId, '--actor', `api_key:${key?.id}`))).toEqual(both);
      expect(types(await audit('--user', userId, '--limit', '1'))).toEqual(both.slice(0, 1));
      expect(await audit('--user', userId, '--actor', 'api_key:other')).toEqual([]);
      await passage.manage('DELETE', `/users/${userId}`);
      expect(types(await audit('--user', userId))).toEqual(['user.deleted', ...both]);
      expect(types(await audit(other.appId, '--type', 'app'))).toEqual(['app.deleted', 'app.created']);
      expect(types(await audit(other.appId, '--since', '5m', '--until', '2999-01-01'))).toHaveLength(3);
      expect(await audit(other.appId, '--until', '1d')).toEqual([]);
      expect(await audit(other.appId, '--since', '2999-01-01T00:00:00Z')).toEqual([]);
      expect((await end('audit', 'no-app')).output).toBe('No entries.\n');
    }, 120_000);

    it.each([['--user', "' or 1=1 --"], ['%'], ['--actor', 'user:{"$ne":1}']])(
      'finds nothing for %j %j',
      async (...hostile) => {
        expect(await audit(...hostile)).toEqual([]);
      },
      60_000,
    );

    it('asks for the ID of a user who has another address by now', async () => {
      expect(await end('audit', '--user', 'nobody@example.com')).toMatchObject({
        code: 1,
        output: expect.stringContaining('give the user ID if the user was deleted'),
      });
    }, 60_000);
  });

  it('has an entry of a SQLite database that was restored', async () => {
    const file = join(folder, 'passage.db');
    const copy = join(folder, 'copy.db');
    const passage = await TestServer.start(async () => ({ location: file, drop: async () => {} }));
    await passage.server.backup(copy);
    await passage.server.close();
    const command = async (...args: string[]) => {
      const one = run(args, { ...variables, DATABASE_URL: file }, folder);
      expect({ code: await one.ended, output: one.output() }).toMatchObject({ code: 0 });
      return one.output();
    };
    await command('restore', copy);
    expect(JSON.parse(await command('audit', '--limit', '1', '--json'))).toMatchObject([
      { type: 'backup.restored', appId: null, actor: { kind: 'command', id: null } },
    ]);
  }, 60_000);

  it.each([
    [
      ['--type', 'user.craeted'],
      '--type must be a type of the audit log or the beginning of one: did you mean',
    ],
    [['--type', '%'], 'it must be one of'],
    [['--type', ''], '--type must be'],
    [['--actor', 'root'], '--actor must be user, api_key, command, program or server'],
    [['--since', 'yesterday'], '--since must be a date such as'],
    [['--until', '2026-13-01'], '--until must be a date such as'],
    [['--limit', '0'], '--limit must be a whole number, 1 to 10000'],
    [['--limit', '1e3'], '--limit must be'],
    [['--uesr', 'x'], 'did you mean "user"?'],
  ])(
    'refuses %j and says what to do',
    async (args, message) => {
      const one = run(['audit', ...args], variables, folder);
      expect(await one.ended).toBeGreaterThan(0);
      expect(one.output()).toContain(message);
    },
    60_000,
  );
});
