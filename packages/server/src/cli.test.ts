import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { secret } from './harness/server.ts';

const command = fileURLToPath(new URL('../dist/cli.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'passage-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Run {
  child: ChildProcess;
  output: () => string;
  /** Resolves with the exit code. */
  ended: Promise<number | null>;
}

function run(args: string[], variables: Record<string, string>): Run {
  const child = spawn(process.execPath, [command, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...variables },
  });
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    output += chunk;
  });
  return { child, output: () => output, ended: new Promise((resolve) => child.once('close', resolve)) };
}

async function started(server: Run): Promise<void> {
  await expect.poll(server.output, { timeout: 10_000 }).toContain('Passage server on port');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe.skipIf(!existsSync(command))('passage-server (needs a build)', () => {
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
      const port = String(await freePort());
      const variables = { PASSAGE_SECRET: secret, PASSAGE_BASE_URL: `http://localhost:${port}`, PORT: port };
      const first = run([], variables);
      await started(first);
      expect(first.output()).toMatch(/PASSAGE_APP_ID=\w{24}\nPASSAGE_API_KEY=\w{10}\.\w{64}\n/);
      expect((await fetch(`http://localhost:${port}/readyz`)).status).toBe(200);
      const second = run([], variables);
      expect(await second.ended).toBe(1);
      expect(second.output()).toContain('The port is in use: set PORT to another one');
      const start = Date.now();
      first.child.kill('SIGTERM');
      expect(await first.ended).toBe(0);
      expect(Date.now() - start).toBeLessThan(10_000);
      const again = run([], variables);
      await started(again);
      expect(again.output()).not.toContain('PASSAGE_API_KEY');
      again.child.kill('SIGINT');
      expect(await again.ended).toBe(0);
    },
  );

  it('keeps every user it said it made, when it is killed', async () => {
    const port = String(await freePort());
    const apiKey = `${'k'.repeat(10)}.${'s'.repeat(64)}`;
    const variables = {
      PASSAGE_SECRET: secret,
      PASSAGE_BASE_URL: `http://localhost:${port}`,
      PORT: port,
      DATABASE_URL: join(folder, 'killed.db'),
      PASSAGE_APP_ID: 'app',
      PASSAGE_API_KEY: apiKey,
      LOG_LEVEL: 'silent',
    };
    const headers = { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json' };
    const url = `http://localhost:${port}/api/v1/apps/app/users`;
    const made: string[] = [];
    for (let round = 0; round < 5; round++) {
      const server = run([], variables);
      await started(server);
      for (const email of made.slice(-5)) {
        const list = await (await fetch(`${url}?identifier=${email}`, { headers })).json();
        expect(list.total_users).toBe(1);
      }
      const work = Array.from({ length: 40 }, async (_, index) => {
        const email = `u${round}-${index}@example.com`;
        const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ email }) });
        if (response.status === 201) made.push(email);
        if (index === 10 + round * 5) server.child.kill('SIGKILL');
      });
      await Promise.allSettled(work);
      await server.ended;
    }
    const last = run([], variables);
    await started(last);
    const { total_users: total } = await (await fetch(url, { headers })).json();
    expect(made.length).toBeGreaterThan(20);
    expect(total).toBeGreaterThanOrEqual(made.length);
    last.child.kill('SIGTERM');
    await last.ended;
  });

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
