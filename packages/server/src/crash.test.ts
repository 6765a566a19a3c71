import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'libsql';
import { afterAll, describe, expect, it } from 'vitest';
import { built, portOf, type Run, run } from '../test/process.ts';
import { secret } from '../test/server.ts';
import { createPassageServer } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-crash-'));
afterAll(() => rmSync(folder, { recursive: true }));

const apiKey = `${'k'.repeat(10)}.${'s'.repeat(64)}`;

function start(database: string): Run {
  const variables = {
    PASSAGE_SECRET: secret,
    PASSAGE_BASE_URL: 'http://localhost:3000',
    PASSAGE_APP_ID: 'app',
    PASSAGE_API_KEY: apiKey,
    // So that everybody can have an address of their own: one alone may not try so often.
    PASSAGE_TRUSTED_PROXIES: '127.0.0.1',
    DATABASE_URL: database,
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'silent',
  };
  return run([], variables, folder);
}

/** What a back end and its users send to a server, each from an address of their own. */
class Caller {
  readonly #port: number;
  #count = 0;

  constructor(port: number) {
    this.#port = port;
  }

  async send(method: string, path: string, body?: object): Promise<Response> {
    this.#count += 1;
    return fetch(`http://127.0.0.1:${this.#port}${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${apiKey}`,
        'Content-Type': 'application/json',
        'X-Forwarded-For': `10.0.${this.#count >> 8}.${this.#count & 255}`,
      },
      ...(body && { body: JSON.stringify(body) }),
    });
  }

  /** Gives the body of an answer that is a success, and fails otherwise. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect, and fail where it is not.
  async ask(method: string, path: string, body?: object): Promise<any> {
    const response = await this.send(method, path, body);
    expect(response.status).toBeLessThan(300);
    return response.json();
  }

  async link(email: string): Promise<string> {
    const { magic_link } = await this.ask('POST', '/api/v1/apps/app/magic-links', { email, send: false });
    return magic_link.secret;
  }

  async activate(link: string): Promise<string> {
    const { auth_result } = await this.ask('PATCH', '/auth/v1/apps/app/magic-link/activate', {
      magic_link: link,
    });
    return auth_result.refresh_token;
  }

  async refresh(token: string): Promise<string> {
    const { auth_result } = await this.ask('POST', '/auth/v1/apps/app/tokens', { refresh_token: token });
    return auth_result.refresh_token;
  }

  async users(query: string): Promise<number> {
    return (await this.ask('GET', `/api/v1/apps/app/users?${query}`)).total_users;
  }
}

/** What the server said that it did. What it had no time to answer may be done or not. */
interface Acknowledged {
  emails: string[];
  /** Links and refresh tokens that are used up. */
  links: string[];
  used: string[];
  /** Refresh tokens that are good. */
  good: Set<string>;
}

/** Signs a new user in and refreshes the session, and writes down each step as soon as it is answered. */
async function live(caller: Caller, email: string, done: Acknowledged): Promise<void> {
  const link = await caller.link(email);
  done.emails.push(email);
  let token = await caller.activate(link);
  done.links.push(link);
  for (let count = 0; count < 3; count += 1) {
    done.good.add(token);
    await delay(Math.random() * 10);
    // From here on nobody knows, until the answer is here.
    done.good.delete(token);
    const next = await caller.refresh(token);
    done.used.push(token);
    token = next;
  }
  done.good.add(token);
}

async function check(caller: Caller, done: Acknowledged): Promise<void> {
  for (const email of done.emails) expect(await caller.users(`identifier=${email}`)).toBe(1);
  // First what is good: to use a token again ends its session.
  for (const token of done.good) await caller.refresh(token);
  for (const token of done.used) {
    const answer = await caller.send('POST', '/auth/v1/apps/app/tokens', { refresh_token: token });
    expect(answer.status).toBe(401);
  }
  for (const magic_link of done.links) {
    const path = '/auth/v1/apps/app/magic-link/activate';
    expect((await caller.send('PATCH', path, { magic_link })).status).toBe(404);
  }
}

function expectIntact(file: string): void {
  const database = new Database(file);
  expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  expect(database.prepare('PRAGMA foreign_key_check').all()).toEqual([]);
  database.close();
}

async function kill(server: Run): Promise<void> {
  server.child.kill('SIGKILL');
  await server.ended;
}

describe.skipIf(!built)('A crash (needs a build)', () => {
  // `KILL_ROUNDS=200` for the whole of it.
  const rounds = Number(process.env.KILL_ROUNDS ?? 8);

  it(
    `loses nothing that was acknowledged, and lets nothing be used again (${rounds} times)`,
    async () => {
      const file = join(folder, 'killed.db');
      // A used token is to be refused at once.
      const app = { id: 'app', apiKey, refreshReuseInterval: 0 };
      const first = await createPassageServer({
        baseUrl: 'http://localhost:3000',
        secret,
        database: file,
        app,
      });
      await first.close();
      let acknowledged = 0;
      for (let round = 0; round < rounds; round += 1) {
        const done: Acknowledged = { emails: [], links: [], used: [], good: new Set() };
        const server = start(file);
        const caller = new Caller(await portOf(server));
        const lives = Array.from({ length: 12 }, (_, index) =>
          live(caller, `u${round}-${index}@example.com`, done),
        );
        let over = false;
        const ended = Promise.allSettled(lives).then(() => {
          over = true;
        });
        await delay(50 + Math.random() * 250);
        // A slow machine has answered nothing by then.
        while (!over && done.emails.length + done.links.length + done.used.length < 6) await delay(1);
        await kill(server);
        await ended;
        expectIntact(file);
        const again = start(file);
        await check(new Caller(await portOf(again)), done);
        await kill(again);
        acknowledged += done.emails.length + done.links.length + done.used.length;
      }
      expect(acknowledged).toBeGreaterThan(rounds * 5);
    },
    rounds * 60_000,
  );

  it('during a migration leaves a database that the next start completes', async () => {
    for (const pause of [0, 5, 10, 20, 40]) {
      const file = join(folder, `young-${pause}.db`);
      const server = start(file);
      while (!existsSync(file)) await delay(1);
      await delay(pause);
      await kill(server);
      const again = start(file);
      const caller = new Caller(await portOf(again));
      await caller.activate(await caller.link('ada@example.com'));
      await kill(again);
      expectIntact(file);
    }
  }, 300_000);
});

// Windows has no signals.
describe.skipIf(!built || process.platform === 'win32')('SIGTERM (needs a build)', () => {
  it('under load loses no request', async () => {
    const server = start(join(folder, 'ended.db'));
    const caller = new Caller(await portOf(server));
    const outcomes: number[] = [];
    const failures: unknown[] = [];
    let ending = false;
    const worker = async (index: number) => {
      for (let count = 0; ; count += 1) {
        try {
          const email = `w${index}-${count}@example.com`;
          const response = await caller.send('POST', '/api/v1/apps/app/users', { email });
          await response.arrayBuffer();
          outcomes.push(response.status);
          if (response.headers.get('Connection') === 'close') return;
        } catch (error) {
          const { code } = (error as { cause: { code?: string } }).cause;
          // Nobody listens any more: that is no lost request, it was not taken.
          if (!(ending && code === 'ECONNREFUSED')) failures.push(error);
          return;
        }
      }
    };
    const workers = Array.from({ length: 16 }, (_, index) => worker(index));
    await delay(400);
    ending = true;
    const begin = performance.now();
    server.child.kill('SIGTERM');
    expect(await server.ended).toBe(0);
    expect(performance.now() - begin).toBeLessThan(10_000);
    await Promise.all(workers);
    expect(failures).toEqual([]);
    expect(outcomes.length).toBeGreaterThan(16);
    expect(new Set(outcomes)).toEqual(new Set([201]));
  });
});

function asAdministrator(command: string, ...args: string[]): void {
  const PATH = `${process.env.PATH}:/usr/sbin:/usr/bin:/sbin:/bin`;
  execFileSync(command, args, { stdio: 'ignore', env: { PATH } });
}

/** A small file system; `undefined` where none can be mounted, as without root. */
function mountSmall(): string | undefined {
  const path = join(folder, 'small');
  mkdirSync(path);
  try {
    asAdministrator('mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path);
    return path;
  } catch {
    return undefined;
  }
}

const disk = built ? mountSmall() : undefined;
if (disk) {
  // Lazily: this process may have the file open until its next garbage collection.
  afterAll(() => asAdministrator('umount', '-l', disk));

  it('A full disk is answered 503, reads go on, and writes too as soon as there is room', async () => {
    const file = join(disk, 'full.db');
    const server = start(file);
    try {
      const caller = new Caller(await portOf(server));
      const add = (name: string) =>
        caller.send('POST', '/api/v1/apps/app/users', { email: `${name}@example.com` });
      let users = 0;
      let answer = await add(`u${users}`);
      while (answer.status === 201 && users < 5_000) {
        users += 1;
        answer = await add(`u${users}`);
      }
      expect(answer.status).toBe(503);
      expect(answer.headers.get('Retry-After')).toMatch(/^\d+$/);
      expect(await answer.json()).toMatchObject({ code: 'service_unavailable' });
      expect(await caller.users('')).toBe(users);
      asAdministrator('mount', '-o', 'remount,size=20m', disk);
      expect((await add('room')).status).toBe(201);
    } finally {
      await kill(server);
      expectIntact(file);
    }
  });
}
