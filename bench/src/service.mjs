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

const command = join(dirname(createRequire(import.meta.url).resolve('@passage-auth/server')), 'cli.mjs');
const secret = randomBytes(32).toString('base64');

/**
 * A `passage-server` process.
 *
 * @typedef {object} Service
 * @property {string} url Where it answers.
 * @property {number} startup Milliseconds until it did.
 * @property {() => number} memory MB.
 * @property {() => Promise<void>} stop
 */

/**
 * @param {string} database
 * @returns {Promise<Service>}
 */
export async function startService(database) {
  const begin = performance.now();
  const child = spawn(process.execPath, [command], {
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
      startup: performance.now() - begin,
      memory: () =>
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024,
      async stop() {
        child.kill();
        await exited;
      },
    };
  }
  throw new Error('The server did not start');
}
