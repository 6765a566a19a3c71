import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startPassage, type TestPassage } from '@passage-auth/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from './port.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const frameworks = ['express', 'fastify', 'nestjs'];
const read = (path: string) => readFileSync(join(root, path), 'utf8');

describe.each(frameworks)('examples/%s, run by itself', (framework) => {
  let passage: TestPassage;
  let app: RunningExample;

  beforeAll(async () => {
    passage = await startPassage({ port: 0 });
    app = await run(framework, { ...passage.env });
  }, 30_000);

  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await passage.close();
  });

  it('answers users whose token is good, and them only', async () => {
    const user = await passage.createUser({ email: 'ada@example.com' });
    const { userId, headers } = await passage.signIn(user);
    const [expired] = await passage.badTokens();

    expect((await app.get('/')).status).toBe(200);
    for (const path of ['/protected', '/me', '/child/protected', '/anyone']) {
      const good = await app.get(path, headers);
      expect([path, good.status, good.body]).toEqual([path, 200, expect.objectContaining({ userId })]);
      const bad = await app.get(path, expired?.headers);
      expect([path, bad.status, bad.challenge]).toEqual([
        path,
        401,
        expect.stringContaining('invalid_token'),
      ]);
      const none = await app.get(path);
      const answer = path === '/anyone' ? [200, null] : [401, 'Bearer'];
      expect([path, none.status, none.challenge]).toEqual([path, ...answer]);
    }
    expect((await app.get('/anyone')).body).toEqual({ userId: null });
    expect((await app.get('/me', headers)).body).toMatchObject({ user: { id: userId, email: user.email } });
  });

  it('sends invitations', async () => {
    const { headers } = await passage.signIn('ada@example.com');
    const sent = await app.post('/invite', { email: 'grace@example.com' }, headers);
    expect([sent.status, sent.body]).toEqual([201, { email: 'grace@example.com' }]);
    expect(passage.outbox.map(({ to, kind }) => [to, kind])).toEqual([['grace@example.com', 'magic_link']]);
    for (const body of [{}, { email: 'nonsense' }, { email: 1 }, { email: ['grace@example.com', 'x'] }]) {
      expect([body, (await app.post('/invite', body, headers)).status]).toEqual([body, 400]);
    }
    expect((await app.post('/invite', { email: 'grace@example.com' })).status).toBe(401);
    expect(passage.outbox).toHaveLength(1);
  });

  it('refuses users who were deactivated, where it loads them', async () => {
    const user = await passage.createUser();
    const { headers } = await passage.signIn(user);
    await passage.admin.user.deactivate(user.id);
    const statuses = ['/me', '/anyone', '/protected'].map(
      async (path) => (await app.get(path, headers)).status,
    );
    expect(await Promise.all(statuses)).toEqual([403, 403, 200]);
  });

  it('says that it cannot tell while the API is down', async () => {
    const { headers } = await passage.signIn('lin@example.com');
    using _outage = passage.fault('api', 'unreachable');
    expect(await app.get('/me', headers)).toMatchObject({ status: 503, retryAfter: expect.any(String) });
    expect((await app.get('/protected', headers)).status).toBe(200);
  });
});

it.each(frameworks)('examples/%s brings its own Passage server where none is named', async (framework) => {
  await using app = await run(framework, {});
  expect((await app.get('/passage/livez')).status).toBe(200);
  expect((await app.get('/passage/login')).status).toBe(200);
  expect(await app.get('/me')).toMatchObject({ status: 401, challenge: 'Bearer' });
});

it('examples/community brings its own Passage server, with pages that name it', async () => {
  await using app = await run('community', {});
  expect((await app.get('/passage/livez')).status).toBe(200);
  const { status, body } = await app.get('/login');
  expect([status, body]).toEqual([200, expect.stringMatching(/<passage-auth app-id="[0-9a-f]{24}"/)]);
  expect(body).toMatch(/src="http:\/\/localhost:\d+\/passage\/passage-redirect\.js"/);
  expect(await app.get('/api/me')).toMatchObject({ status: 401, challenge: 'Bearer' });
});

it.each(frameworks)('examples/%s asks for keys only, with PASSAGE_LOAD_USER=false', async (framework) => {
  await using passage = await startPassage({ port: 0 });
  const { headers, userId } = await passage.signIn('ada@example.com');
  await using app = await run(framework, { ...passage.env, PASSAGE_LOAD_USER: 'false' });
  const outage = passage.fault('jwks', 'unreachable');
  expect(await app.get('/anyone', headers)).toMatchObject({ status: 503, retryAfter: expect.any(String) });
  outage.end();
  passage.fault('api', 'unreachable');
  // After a failure the client waits a second before it asks for keys again.
  await expect
    .poll(() => app.get('/anyone', headers), { timeout: 10_000 })
    .toMatchObject({ status: 200, body: { userId } });
  expect(passage.requests.api).toBe(0);
});

describe('README', () => {
  const quotes = frameworks.flatMap((framework) => [
    ['README.md', `examples/${framework}/src/quickstart.ts`],
    [`packages/${framework}/README.md`, `examples/${framework}/src/quickstart.ts`],
  ]);

  it.each(quotes)('%s has the code of %s', (page, file) => {
    expect(read(page)).toContain(`\`\`\`ts\n${read(file)}\`\`\``);
  });
});

interface Answer {
  status: number;
  challenge: string | null;
  retryAfter: string | null;
  body: unknown;
}

interface RunningExample extends AsyncDisposable {
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  post(path: string, body: object, headers?: Record<string, string>): Promise<Answer>;
}

/** Starts a built example in a folder of its own, and waits until it says that it is ready. */
async function run(framework: string, env: Record<string, string>): Promise<RunningExample> {
  const main = join(root, `examples/${framework}/dist/main.js`);
  if (!existsSync(main)) throw new Error(`${main} is not there: run npm run build first`);
  const folder = mkdtempSync(join(tmpdir(), 'passage-example-'));
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:PASSAGE_|DATABASE_URL|NODE_)/.test(name),
  );
  const child = spawn(process.execPath, [main], {
    cwd: folder,
    env: { ...Object.fromEntries(inherited), ...env, PORT: String(await freePort()) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const origin = await readiness(child);
  const send = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await fetch(origin + path, init);
    const text = await response.text();
    const json = response.headers.get('content-type')?.includes('json');
    return {
      status: response.status,
      challenge: response.headers.get('www-authenticate'),
      retryAfter: response.headers.get('retry-after'),
      body: json ? JSON.parse(text) : text,
    };
  };
  return {
    get: (path, headers = {}) => send(path, { headers }),
    post: (path, body, headers = {}) =>
      send(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
    async [Symbol.asyncDispose]() {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      rmSync(folder, { recursive: true });
    },
  };
}

/** Returns the URL that the example prints, or throws what it printed before it ended. */
async function readiness(child: ChildProcess): Promise<string> {
  let output = '';
  child.stderr?.on('data', (chunk) => {
    output += chunk;
  });
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const [, url] = /^Ready at (\S+)/.exec(line) ?? [];
    if (url) {
      child.stdout?.resume();
      return url;
    }
    output += `${line}\n`;
  }
  throw new Error(`The example ended before it was ready:\n${output}`);
}
