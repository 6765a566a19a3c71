import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { built, portOf, run as runIn } from '../test/process.ts';
import { secret } from '../test/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

const run = (args: string[], variables: Record<string, string>) => runIn(args, variables, folder);

describe.skipIf(!built)('passage-server (needs a build)', () => {
  it('stops at once without configuration, saying what to set', async () => {
    const server = run([], {});
    expect(await server.ended).toBe(1);
    expect(server.output()).toMatch(
      /^passage-server: PASSAGE_SECRET or PASSAGE_SECRET_FILE must be set .+\n$/,
    );
  });

  // Windows has no signals: a process is ended, and cannot answer that.
  it.skipIf(process.platform === 'win32')(
    'serves, shows the key once, says when the port is taken, and ends on SIGTERM',
    async () => {
      const variables = { PASSAGE_SECRET: secret, PASSAGE_BASE_URL: 'http://localhost:3000', PORT: '0' };
      const first = run([], variables);
      const port = String(await portOf(first));
      expect(first.output()).toMatch(/PASSAGE_APP_ID=\w{24}\nPASSAGE_API_KEY=\w{10}\.\w{64}\n/);
      expect((await fetch(`http://localhost:${port}/readyz`)).status).toBe(200);
      const second = run([], { ...variables, PORT: port, DATABASE_URL: 'second.db' });
      expect(await second.ended).toBe(1);
      expect(second.output()).toContain('The port is in use: set PORT to another one');
      const start = Date.now();
      first.child.kill('SIGTERM');
      expect(await first.ended).toBe(0);
      expect(Date.now() - start).toBeLessThan(10_000);
      const again = run([], variables);
      await portOf(again);
      expect(again.output()).not.toContain('PASSAGE_API_KEY');
      again.child.kill('SIGINT');
      expect(await again.ended).toBe(0);
    },
  );

  it('lists apps, makes apps and keys, rotates and backs up', async () => {
    const variables = {
      PASSAGE_SECRET: secret,
      PASSAGE_BASE_URL: 'https://login.example.com',
      DATABASE_URL: join(folder, 'more.db'),
      LOG_LEVEL: 'warn',
    };
    const of = async (...args: string[]) => {
      const one = run(args, variables);
      return { code: await one.ended, output: one.output() };
    };
    const made = await of('create-app');
    const appId = /PASSAGE_APP_ID=(\w+)/.exec(made.output)?.[1] ?? '';
    expect((await of('apps')).output).toContain(`${appId}  https://login.example.com  Passage`);
    expect((await of('create-key', appId)).output).toMatch(/^PASSAGE_API_KEY=\w{10}\.\w{64}\n$/);
    expect((await of('create-key')).output).toContain('<app id>');
    expect(await of('create-key', 'nope')).toEqual({ code: 1, output: 'passage-server: App not found\n' });
    expect((await of('rotate-key', appId)).code).toBe(0);
    const users = join(folder, 'users.jsonl');
    writeFileSync(users, '{"id":"ada","email":"ada@example.com"}\n\n{"phone":"+15005550006"}\n');
    expect((await of('import', appId, users)).output).toBe('2 users imported, 0 were there already.\n');
    writeFileSync(users, '{"id":"ada","email":"ada@example.com"}\n{');
    expect((await of('import', appId, users)).output).toContain('Line 2 of the file must be one JSON object');
    expect((await of('import', appId)).output).toContain('<file>');
    expect((await of('backup', join(folder, 'more-copy.db'))).code).toBe(0);
    expect(existsSync(join(folder, 'more-copy.db'))).toBe(true);
    expect((await of('restored')).code).toBe(0);
    expect((await of('unknown')).code).toBe(1);
    expect((await of('--help')).output).toContain('rotate-secret');
  });
});
