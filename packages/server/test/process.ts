import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const command = fileURLToPath(new URL('../dist/cli.mjs', import.meta.url));

/** Whether there is a `passage-server` to run. */
export const built = existsSync(command);

/** A `passage-server` process. */
export interface Run {
  child: ChildProcess;
  /** All it has printed so far. */
  output: () => string;
  /** Resolves with the exit code. */
  ended: Promise<number | null>;
}

export function run(
  args: string[],
  variables: Record<string, string>,
  cwd: string,
  { file = command, ...user }: { file?: string; uid?: number; gid?: number } = {},
): Run {
  const child = spawn(process.execPath, [file, ...args], {
    ...user,
    cwd,
    env: { PATH: process.env.PATH, ...variables },
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  return { child, output: () => output, ended: new Promise((resolve) => child.once('close', resolve)) };
}

/** Waits until a server serves, and returns its port. */
export async function portOf(server: Run): Promise<number> {
  await expect.poll(server.output, { timeout: 30_000 }).toContain('Passage server on port');
  return Number(/Passage server on port (\d+)/.exec(server.output())?.[1]);
}

/** Takes no port that the system gives away: it would be another test's before the server has it. */
export async function freePort(): Promise<number> {
  const port = 10_000 + Math.floor(Math.random() * 20_000);
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (!free) return freePort();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
