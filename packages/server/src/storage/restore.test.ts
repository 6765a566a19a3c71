import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'libsql';
import { afterAll, describe, expect, it } from 'vitest';
import { built, portOf, run as runIn } from '../../test/process.ts';
import { secret } from '../../test/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-restore-'));
afterAll(() => rmSync(folder, { recursive: true }));

const apiKey = `${'k'.repeat(10)}.${'s'.repeat(64)}`;

const run = (...args: string[]) =>
  runIn(
    args,
    {
      PASSAGE_SECRET: secret,
      PASSAGE_BASE_URL: 'http://localhost:3000',
      PASSAGE_APP_ID: 'app',
      PASSAGE_API_KEY: apiKey,
      DATABASE_URL: 'passage.db',
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'silent',
    },
    folder,
  );

async function finish(...args: string[]): Promise<{ code: number | null; output: string }> {
  const command = run(...args);
  return { code: await command.ended, output: command.output() };
}

/** Adds users without a pause until the server is gone. */
function write(port: number, prefix: string) {
  const acknowledged: string[] = [];
  const call = async (body: object) => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/apps/app/users`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    return response.status;
  };
  const ended = (async () => {
    for (let count = 0; ; count++) {
      const email = `${prefix}-${count}@example.com`;
      const status = await call({ email }).catch(() => undefined);
      if (status !== 201) return;
      acknowledged.push(email);
      // Leaves the machine to the commands that run beside it.
      await delay(20);
    }
  })();
  return { acknowledged, ended };
}

/** Reads the file alone, as a copy of it would be read. */
function emailsIn(file: string): string[] {
  const database = new Database(join(folder, file));
  expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  const rows = database.prepare('select email from users').all() as { email: string }[];
  database.close();
  return rows.map(({ email }) => email);
}

describe.skipIf(!built)('Backup and restore of a server that is written to (needs a build)', () => {
  // Windows has no signals.
  it.each(process.platform === 'win32' ? (['SIGKILL'] as const) : (['SIGTERM', 'SIGKILL'] as const))(
    'three times in a row, ended by %s',
    async (signal) => {
      for (let round = 0; round < 3; round++) {
        const backup = `${signal}-${round}.db`;
        const server = run();
        const writer = write(await portOf(server), `${signal}-${round}`.toLowerCase());
        await expect.poll(() => writer.acknowledged.length).toBeGreaterThan(5);
        const before = [...writer.acknowledged];
        expect(await finish('backup', backup)).toMatchObject({ code: 0 });
        const refused = await finish('restore', backup);
        expect(refused).toMatchObject({
          code: 1,
          output: expect.stringContaining('in use by another Passage server'),
        });
        const second = await finish();
        expect(second).toMatchObject({ code: 1, output: expect.stringContaining('passage.db is in use') });
        const [last = ''] = writer.acknowledged.slice(-1);
        server.child.kill(signal);
        expect(await server.ended).toBe(signal === 'SIGTERM' ? 0 : null);
        await writer.ended;
        if (signal === 'SIGTERM') expect(beside()).toEqual([]);

        const { code, output } = await finish('restore', backup);
        expect(output).toMatch(
          /^Restored: 1 apps, \d+ users, 0 passkeys; .*\. Ended all sessions, codes and links\.\n/,
        );
        expect(code).toBe(0);
        expect(beside()).toEqual([]);
        const emails = emailsIn('passage.db');
        expect(emails).toEqual(expect.arrayContaining(before));
        expect(emails).not.toContain(last);
        const replaced = /kept as .*\/(.+)\n/.exec(output)?.[1] ?? '';
        expect(emailsIn(replaced)).toEqual(expect.arrayContaining(writer.acknowledged));

        const again = run();
        await portOf(again);
        again.child.kill(signal);
        await again.ended;
      }
    },
    300_000,
  );
});

function beside(): string[] {
  return readdirSync(folder).filter((name) => /^passage\.db-(wal|shm|journal)$/.test(name));
}
