import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, describe, expect, it } from 'vitest';
import { describeStored } from '../../test/databases.ts';
import { built, portOf, run } from '../../test/process.ts';
import { secret } from '../../test/server.ts';
import { openStorage } from '../storage/database.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-outbox-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!built)('outbox (needs a build)', () => {
  describeStored('of a server', (make) => {
    it('has the last code and link of a server that runs', async () => {
      const database = await make();
      const variables = {
        DATABASE_URL: database.location,
        PASSAGE_SECRET: secret,
        PASSAGE_BASE_URL: 'http://localhost:3000',
        PASSAGE_APP_ID: 'shop',
        PASSAGE_RATE_LIMIT_MESSAGES_PER_IP: '1000/60',
        PASSAGE_RATE_LIMIT_MESSAGES_PER_ADDRESS: '1000/60',
        LOG_LEVEL: 'silent',
      };
      const outbox = async (args: string[], more: Record<string, string> = {}) => {
        const one = run(['outbox', ...args], { ...variables, ...more }, folder);
        return { code: await one.ended, output: one.output() };
      };
      const server = run(['start', '--port', '0'], variables, folder);
      const port = await portOf(server);
      const send = async (path: string, identifier: string) => {
        const response = await fetch(`http://localhost:${port}/auth/v1/apps/shop${path}`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ identifier }),
        });
        expect(response.status).toBeLessThan(300);
      };
      expect(await outbox([])).toEqual({ code: 0, output: 'No messages.\n' });
      expect(await outbox(['--latest'])).toMatchObject({
        code: 1,
        output: expect.stringContaining('no code or link'),
      });
      await send('/register/otp', 'ada@example.com');
      await send('/register/magic-link', 'bob@example.com');
      const printed = /Code for ada@example\.com: (\d{6})/.exec(server.output())?.[1];
      expect(await outbox(['--latest', '--to', 'Ada@Example.com'])).toEqual({
        code: 0,
        output: `${printed}\n`,
      });
      expect((await outbox(['shop', '--latest'])).output).toMatch(
        /^http:\/\/localhost:3000\/login\?.*psg_magic_link=\S+\n$/,
      );
      const listed = await outbox([]);
      expect(listed.output).toMatch(/otp +ada@example\.com +\d{6}\n.+magic_link +bob@example\.com +http/);
      const data = JSON.parse((await outbox(['--json'])).output);
      expect(data).toMatchObject([{ kind: 'otp', code: printed }, { kind: 'magic_link' }]);

      const mail = { PASSAGE_SMTP_URL: 'smtp://127.0.0.1:1', PASSAGE_SMTP_FROM: 'login@acme.example' };
      expect(await outbox([], mail)).toMatchObject({
        code: 1,
        output: expect.stringContaining('unset PASSAGE_SMTP_URL'),
      });

      const storage = await openStorage(database.location);
      const rows = async () => storage.db.selectFrom('outbox').selectAll().execute();
      expect(JSON.stringify(await rows())).not.toMatch(new RegExp(`${printed}|ada@example|psg_magic`));
      for (let count = 0; count < 104; count++) await send('/login/otp', 'ada@example.com');
      expect(await rows()).toHaveLength(100);
      await sql`update outbox set expires_at = 1`.execute(storage.db);
      expect((await outbox([])).output).toBe('No messages.\n');
      await send('/login/otp', 'ada@example.com');
      expect(await rows()).toHaveLength(1);
      server.child.kill();
      await server.ended;

      // With a delivery nothing is kept.
      const other = run(['start', '--port', '0'], { ...variables, ...mail }, folder);
      const response = await fetch(`http://localhost:${await portOf(other)}/auth/v1/apps/shop/login/otp`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ identifier: 'ada@example.com' }),
      });
      expect(response.status).toBe(503);
      expect(await rows()).toHaveLength(1);
      other.child.kill();
      await other.ended;
      await storage.close();
      await database.drop();
    }, 240_000);
  });
});
