// @ts-check
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

/** The address that the server believes to have: passkeys and tokens name it. */
export const origin = 'http://localhost:3000';
export const appId = 'bench';
export const apiKey = `${'a'.repeat(10)}.${'b'.repeat(64)}`;

/** The checkout, built, that is measured beside this one. */
export const baseline = process.env.BASELINE;

const command = join(dirname(createRequire(import.meta.url).resolve('@passage-auth/server')), 'cli.mjs');
const commandBefore = join(baseline ?? '', 'packages/server/dist/cli.mjs');
const secret = randomBytes(32).toString('base64');

/**
 * A `passage-server` process.
 *
 * @typedef {object} Service
 * @property {string} url Where it answers.
 * @property {number | undefined} pid
 * @property {number} startup Milliseconds until it did.
 * @property {() => number} memory MB.
 * @property {() => number} cpu Milliseconds of CPU time so far.
 * @property {() => Promise<void>} stop
 */

/**
 * Milliseconds of CPU time that a process has taken, in steps of 10.
 *
 * @param {number | undefined} pid
 */
export function cpuOf(pid) {
  const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const [user, system] = fields.split(' ').slice(11, 13).map(Number);
  return ((user ?? 0) + (system ?? 0)) * 10;
}

/**
 * @param {string} database
 * @param {'now' | 'before'} [version]
 * @returns {Promise<Service>}
 */
export async function startService(database, version = 'now') {
  const begin = performance.now();
  const child = spawn(process.execPath, [version === 'now' ? command : commandBefore], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      PASSAGE_SECRET: secret,
      PASSAGE_BASE_URL: origin,
      PASSAGE_APP_ID: appId,
      PASSAGE_API_KEY: apiKey,
      // So that every login can come from an address of its own: otherwise the limits of one address are what is measured.
      PASSAGE_TRUSTED_PROXIES: '127.0.0.1',
      DATABASE_URL: database,
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'error',
    },
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  for await (const line of createInterface(child.stdout)) {
    const port = /on port (\d+)/.exec(line)?.[1];
    if (!port) continue;
    child.stdout.resume();
    return {
      url: `http://127.0.0.1:${port}`,
      pid: child.pid,
      startup: performance.now() - begin,
      memory: () =>
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024,
      cpu: () => cpuOf(child.pid),
      async stop() {
        child.kill();
        await exited;
      },
    };
  }
  throw new Error('The server did not start');
}
