import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { describeStored } from '../../test/databases.ts';
import { built, run } from '../../test/process.ts';
import { secret, TestServer } from '../../test/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-csv-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!built)('users import of a CSV file (needs a build)', () => {
  describeStored('into a database', (make) => {
    const start = async () => {
      const database = await make();
      const server = await TestServer.start(async () => database, {
        app: {
          userMetadataSchema: [
            { fieldName: 'plan', type: 'string' },
            { fieldName: 'seats', type: 'integer' },
            { fieldName: 'beta', type: 'boolean' },
          ],
        },
      });
      const variables = {
        PASSAGE_SECRET: secret,
        PASSAGE_BASE_URL: 'http://localhost:3000',
        DATABASE_URL: database.location,
      };
      const imported = async (text: string | Buffer, args: string[] = [], name = 'users.csv') => {
        const file = join(mkdtempSync(join(folder, 'x-')), name);
        writeFileSync(file, text);
        const one = run(['users', 'import', server.appId, file, ...args], variables, folder);
        return { code: await one.ended, output: one.output() };
      };
      const user = async (id: string) => (await server.manage('GET', `/users/${id}`)).body?.user;
      return { server, imported, user };
    };

    it('takes headers in any order and spelling, and values as consoles write them', async () => {
      const { server, imported, user } = await start();
      const passage = await imported(
        [
          'Email,User ID,Email Verified,PHONE,phone_verified,Status,created_at,Last-Login-At,login_count,user_metadata,user_metadata.seats,User Metadata.beta,Country,Notes',
          'ada@example.com,ada1,TRUE,+15005550006,false,Active,2023-05-06T07:08:09Z,2024-01-02 03:04:05.678 +0000 UTC,7,"{""plan"":""pro""}",3,yes,DE,x',
          'bob@example.com,bob1,0,,,inactive,2023-05-06 07:08:09,0001-01-01T00:00:00Z,0,,,,,',
          '',
          'eve@example.com,eve1,,,,,2023-05-06 09:08:09+02,,,,,no,,"a',
          'b"',
        ].join('\n'),
      );
      expect(passage).toEqual({
        code: 0,
        output: 'Ignored columns: Country, Notes\n3 users imported, 0 already existed.\n',
      });
      expect(await user('ada1')).toMatchObject({
        email: 'ada@example.com',
        email_verified: true,
        phone: '+15005550006',
        phone_verified: false,
        status: 'active',
        created_at: '2023-05-06T07:08:09.000Z',
        last_login_at: '2024-01-02T03:04:05.678Z',
        login_count: 7,
        user_metadata: { plan: 'pro', seats: 3, beta: true },
      });
      expect(await user('bob1')).toMatchObject({
        email_verified: false,
        status: 'inactive',
        created_at: '2023-05-06T07:08:09.000Z',
        last_login_at: '0001-01-01T00:00:00Z',
      });
      expect(await user('eve1')).toMatchObject({
        created_at: '2023-05-06T07:08:09.000Z',
        user_metadata: { beta: false },
      });

      // As spreadsheets write it.
      const sheet = '\ufeffid;email;user_metadata.plan\r\n"s1";"s1@example.com";"a;\r\n""b"""\r\n';
      expect(await imported(sheet)).toEqual({
        code: 0,
        output: '1 users imported, 0 already existed.\n',
      });
      expect((await user('s1')).user_metadata).toEqual({ plan: 'a;\n"b"' });
      expect((await imported('id\temail\nt1\tt1@example.com', ['--format', 'csv'], 'users.txt')).code).toBe(
        0,
      );
      expect((await user('t1')).email).toBe('t1@example.com');
      await server[Symbol.asyncDispose]();
    }, 120_000);

    it('names every wrong line, and then writes nothing', async () => {
      const { server, imported } = await start();
      const wrong = await imported(
        [
          '\ufeffid,email,email_verified,created_at,login_count,user_metadata,user_metadata.seats',
          'ok1,ok1@example.com,true,2023-05-06,1,,',
          'n1,nobody,,,,,',
          'n2,n2@example.com,perhaps,,,,',
          'n3,n3@example.com,,yesterday,,,',
          'n4,n4@example.com,,,many,,',
          'n5,n5@example.com,,,,{,',
          'n6,n6@example.com,,,,"{""other"":',
          '1}",',
          'n7,n7@example.com,,,,,few',
          'n8,n8@example.com',
          'n9,,,,,,',
        ].join('\r\n'),
      );
      expect(wrong.code).toBe(1);
      const [, ...faults] = wrong.output.split(/(?=Line \d+ of)/);
      expect(faults.map((text) => Number(/^Line (\d+)/.exec(text)?.[1]))).toEqual([
        3, 4, 5, 6, 7, 8, 10, 11, 12,
      ]);
      expect(wrong.output).toContain('Line 4 of the file "email_verified" is not valid');
      expect(wrong.output).toContain('9 of 10 lines are invalid; no users were imported');
      expect((await server.manage('GET', '/users')).body.total_users).toBe(0);

      const broken = await imported('id,email\nok1,ok1@example.com\nx,"y@example.com\n');
      expect(broken).toMatchObject({
        code: 1,
        output: expect.stringContaining('is not valid CSV from here on'),
      });
      const huge = await imported(`id,email\nok1,ok1@example.com\nx,"${'y'.repeat(1_100_000)}`);
      expect(huge).toMatchObject({
        code: 1,
        output: expect.stringContaining('is not valid CSV from here on'),
      });
      const headless = await imported('ok1,ok1@example.com\n');
      expect(headless).toMatchObject({ code: 1, output: expect.stringContaining('must name the columns') });
      const twice = await imported('id,email,E-Mail\nok1,ok1@example.com,\n');
      expect(twice).toMatchObject({ code: 1, output: expect.stringContaining('names "email" twice') });
      expect((await imported('id,email\n', ['--format', 'xlsx'])).code).toBe(1);
      expect((await server.manage('GET', '/users')).body.total_users).toBe(0);
      await server[Symbol.asyncDispose]();
    }, 120_000);

    it('reads 100,000 rows, first to check them, and goes on where an import was cut off', async () => {
      const { server, imported, user } = await start();
      const rows = (from: number, until: number) =>
        Array.from({ length: until - from }, (_, index) => {
          const id = `u${from + index}`;
          return `${id},${id}@example.com,true,"{""plan"":""pro""}"\n`;
        }).join('');
      const header = 'id,email,email_verified,user_metadata\n';
      const dry = await imported(header + rows(0, 100_000), ['--dry-run']);
      expect(dry).toMatchObject({
        code: 0,
        output: expect.stringContaining('100000 users can be imported.'),
      });
      expect((await server.manage('GET', '/users')).body.total_users).toBe(0);
      await imported(header + rows(0, 700));
      expect((await imported(header + rows(0, 2_000))).output).toBe(
        '1300 users imported, 700 already existed.\n',
      );
      expect((await user('u1999')).user_metadata).toEqual({ plan: 'pro' });
      expect(await user('u2000')).toBeUndefined();
      await server[Symbol.asyncDispose]();
    }, 240_000);
  });
});
