import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { describeStored, type TestDatabase } from '../../test/databases.ts';
import { built, run } from '../../test/process.ts';
import { secret, TestServer } from '../../test/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-transfer-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!built)('users export and import (need a build)', () => {
  describeStored('from one server to another', (make) => {
    it('carries users, metadata and passkeys over, as often as it is repeated', async () => {
      const databases: TestDatabase[] = [];
      const start = () =>
        TestServer.start(
          async () => {
            const database = await make();
            databases.push(database);
            return database;
          },
          { app: { userMetadataSchema: [{ fieldName: 'plan', type: 'string' }] } },
        );
      await using old = await start();
      await using next = await start();
      const of = async (index: number, ...args: string[]) => {
        const variables = {
          PASSAGE_SECRET: secret,
          PASSAGE_BASE_URL: 'http://localhost:3000',
          DATABASE_URL: databases[index]?.location ?? '',
        };
        const one = run(args, variables, folder);
        return { code: await one.ended, output: one.output() };
      };
      const ada = await old.register('ada@example.com');
      await old.manage('PATCH', `/users/${ada.id}`, { user_metadata: { plan: 'pro' } });
      await old.manage('POST', '/users', { phone: '+15005550006' });
      const many = Array.from({ length: 1_100 }, (_, index) => ({
        id: `u${index}`,
        email: `u${index}@example.com`,
      }));
      await old.server.apps.importUsers(old.appId, many);

      const file = join(mkdtempSync(join(folder, 'x-')), 'users.jsonl');
      expect(await of(0, 'users', 'export', file)).toEqual({
        code: 0,
        output: `Exported 1102 users with 1 passkeys to ${file}.\n`,
      });
      if (process.platform !== 'win32') expect(statSync(file).mode & 0o777).toBe(0o600);
      expect((await of(0, 'users', 'export', file)).code).toBe(1);
      expect((await of(1, 'users', 'import', next.appId, file, '--dry-run')).output).toBe(
        '1102 users can be imported.\n',
      );
      expect((await next.manage('GET', '/users')).body.total_users).toBe(0);

      // As an import leaves it that was cut off.
      const lines = readFileSync(file, 'utf8').trim().split('\n');
      const begun = join(folder, 'begun.jsonl');
      writeFileSync(begun, lines.slice(0, 700).join('\n'));
      await of(1, 'users', 'import', next.appId, begun);
      expect(await of(1, 'users', 'import', next.appId, file)).toEqual({
        code: 0,
        output: '402 users imported, 700 already existed.\n',
      });
      const before = (await old.manage('GET', `/users/${ada.id}`)).body.user;
      const after = (await next.manage('GET', `/users/${ada.id}`)).body.user;
      const { recent_events, webauthn_devices, ...rest } = before;
      expect(after).toMatchObject(rest);
      expect(after.webauthn_devices).toMatchObject([
        { cred_id: webauthn_devices[0].cred_id, usage_count: webauthn_devices[0].usage_count },
      ]);
      // The passkey signs, and the server that imported its public key believes it.
      const { handshake } = (
        await next.auth('POST', '/login/webauthn/start', { identifier: 'ada@example.com' })
      ).body;
      const login = await next.auth('POST', '/login/webauthn/finish', {
        handshake_id: handshake.id,
        handshake_response: await ada.authenticator.get(handshake.challenge.publicKey),
        user_id: ada.id,
      });
      expect(login.status).toBe(200);

      expect(await of(1, 'users', 'import', next.appId, '/dev/stdin')).toMatchObject({
        code: 1,
        output: expect.stringContaining('is read twice'),
      });

      const wrong = join(folder, 'wrong.jsonl');
      writeFileSync(wrong, '{"id":"n1","email":"n1@example.com"}\n{\n{"email":"nobody"}\n');
      const refused = await of(1, 'users', 'import', next.appId, wrong);
      expect(refused.code).toBe(1);
      expect(refused.output).toMatch(
        /Line 2 of the file must be one JSON object; Line 3 .+2 of 3 lines are invalid/,
      );
      expect((await next.manage('GET', '/users/n1')).status).toBe(404);
      writeFileSync(wrong, '{"id":"n1","email":"n1@example.com"}\n{"id":"n2","email":"ada@example.com"}\n');
      const partly = await of(1, 'users', 'import', next.appId, wrong);
      expect(partly.code).toBe(1);
      expect(partly.output).toMatch(/^1 users imported, 0 already existed\.\nLine 2: the email address/);

      const withPasskey = lines.map((line) => JSON.parse(line)).find(({ passkeys }) => passkeys.length > 0);
      writeFileSync(wrong, JSON.stringify({ ...withPasskey, id: 'n3', email: 'n3@example.com' }));
      expect(await of(1, 'users', 'import', next.appId, wrong)).toEqual({
        code: 1,
        output:
          '1 users imported, 0 already existed.\nLine 1: imported without a passkey that belongs to another user\n',
      });
      expect((await next.manage('GET', '/users/n3')).body.user.webauthn_devices).toEqual([]);
    }, 240_000);
  });
});
