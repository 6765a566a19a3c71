import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { built, portOf, run as runIn } from '../test/process.ts';
import { secret } from '../test/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

const run = (args: string[], variables: Record<string, string>, cwd = folder) => runIn(args, variables, cwd);

/** Runs a command to its end. */
async function end(args: string[], variables: Record<string, string> = {}, cwd = folder) {
  const one = run(args, variables, cwd);
  return { code: await one.ended, output: one.output() };
}

const good = { PASSAGE_SECRET: secret, PASSAGE_BASE_URL: 'https://login.example.com' };

/** A folder in which nothing may be written. */
function emptyFolder(): string {
  const path = mkdtempSync(join(folder, 'empty-'));
  mkdirSync(path, { recursive: true });
  return path;
}

describe.skipIf(!built)('passage-server (needs a build)', () => {
  it('stops at once without configuration, saying what to set', async () => {
    expect(await end([])).toEqual({
      code: 1,
      output: expect.stringMatching(
        /^passage-server: PASSAGE_SECRET or PASSAGE_SECRET_FILE must be set .+\n$/,
      ),
    });
  });

  // Windows has no signals: a process is ended, and cannot answer that.
  it.skipIf(process.platform === 'win32')(
    'serves, shows the key once, says when the port is taken, and ends on SIGTERM',
    async () => {
      const variables = { ...good, PASSAGE_BASE_URL: 'http://localhost:3000', PORT: '0' };
      const first = run([], variables);
      const port = String(await portOf(first));
      expect(first.output()).toMatch(/PASSAGE_APP_ID=\w{24}\nPASSAGE_API_KEY=\w{10}\.\w{64}\n/);
      expect((await fetch(`http://localhost:${port}/readyz`)).status).toBe(200);
      const other = emptyFolder();
      const second = await end(['start', '--port', port], variables, other);
      expect(second).toEqual({
        code: 1,
        output: `passage-server: The port ${port} is in use: set PORT to another port, or stop the process using it\n`,
      });
      expect(readdirSync(other)).toEqual([]);
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
    const variables = { ...good, DATABASE_URL: join(folder, 'more.db') };
    const of = (...args: string[]) => end(args, variables);
    const made = await of('create-app');
    const appId = /PASSAGE_APP_ID=(\w+)/.exec(made.output)?.[1] ?? '';
    expect((await of('apps')).output).toBe(`${appId}  https://login.example.com  Passage\n`);
    expect(JSON.parse((await of('apps', 'list', '--json')).output)).toMatchObject([{ id: appId }]);
    expect((await of('create-key', appId)).output).toMatch(/^PASSAGE_API_KEY=\w{10}\.\w{64}\n$/);
    expect(await of('create-key', 'nope')).toEqual({
      code: 1,
      output: 'passage-server: No app has this ID\n',
    });
    const users = join(folder, 'users.jsonl');
    writeFileSync(users, '{"id":"ada","email":"ada@example.com"}\n\n{"phone":"+15005550006"}\n');
    expect((await of('import', appId, users)).output).toBe('2 users imported, 0 already existed.\n');
    writeFileSync(users, '{"id":"ada","email":"ada@example.com"}\n{');
    expect((await of('import', appId, users)).output).toContain('Line 2 of the file must be one JSON object');
    expect((await of('backup', join(folder, 'more-copy.db'))).code).toBe(0);
    expect(existsSync(join(folder, 'more-copy.db'))).toBe(true);
    expect((await of('restored')).code).toBe(0);
  }, 120_000);

  it('says when a new signing key signs, and publishes a second one only when told to', async () => {
    const variables = { ...good, DATABASE_URL: join(folder, 'keys.db') };
    const of = (...args: string[]) => end(args, variables);
    const { appId } = JSON.parse((await of('create-app', '--json')).output);
    const first = await of('rotate-key', appId);
    const [, id, time = ''] = /^Published key (\w+)\. It signs from (\S+)\./.exec(first.output) ?? [];
    expect(Date.parse(time) - Date.now()).toBeGreaterThan(9 * 60_000);
    const second = await of('keys', 'rotate', appId);
    expect(second.code).toBe(1);
    expect(second.output).toMatch(
      new RegExp(`^passage-server: Key ${id} is already published .+ --yes, or wait\\n$`),
    );
    expect((await of('rotate-key', appId, '--yes')).code).toBe(0);
    const now = await of('rotate-key', '--now', appId, '--json');
    expect(JSON.parse(now.output)).toEqual({ id: expect.any(String), signsAt: expect.any(String) });
  }, 120_000);

  it('makes the first app by start and create-app only, and no database by the others', async () => {
    const cwd = emptyFolder();
    for (const args of [
      ['apps'],
      ['create-key', 'x'],
      ['rotate-key', 'x'],
      ['import', 'x', 'y'],
      ['restored'],
    ]) {
      expect(await end(args, good, cwd)).toMatchObject({ code: 1 });
    }
    expect((await end(['apps'], good, cwd)).output).toContain(
      'DATABASE_URL names a SQLite file that does not exist',
    );
    expect(readdirSync(cwd)).toEqual([]);
  });

  it('makes an app with the ID and key of the environment only when asked', async () => {
    const cwd = emptyFolder();
    const PASSAGE_API_KEY = `abcdefghij.${'k'.repeat(64)}`;
    const variables = { ...good, PASSAGE_APP_ID: 'shop', PASSAGE_API_KEY };
    const own = await end(['create-app'], { ...variables, PASSAGE_API_KEY: 'of another service' }, cwd);
    expect(own.output).toMatch(/^PASSAGE_APP_ID=\w{24}\nPASSAGE_API_KEY=\w{10}\.\w{64}\n$/);
    const given = await end(['create-app', '--from-environment'], variables, cwd);
    expect(given.output).toBe(`PASSAGE_APP_ID=shop\nPASSAGE_API_KEY=${PASSAGE_API_KEY}\n`);
    expect(await end(['create-app', '--from-environment'], variables, cwd)).toEqual({
      code: 1,
      output: 'passage-server: Another app has this ID\n',
    });
  });

  it('prints the log of a command only when asked', async () => {
    const cwd = emptyFolder();
    expect((await end(['create-app', '--verbose'], good, cwd)).output).toContain('api_key.created');
    expect((await end(['create-app'], good, cwd)).output).not.toContain('api_key.created');
  });

  it.each([
    [['rotate-key', 'my-app', '--immediately'], '"--immediately" is unknown'],
    [['rotate-key', 'my-app', '--nwo'], 'did you mean "now"?'],
    [['rotate-key'], 'the argument <app id> is missing'],
    [['rotate-key', ''], 'the argument <app id> is missing'],
    [['import', 'my-app'], 'the argument <file> is missing'],
    [['backup', 'a.db', 'b.db'], 'unexpected argument "b.db"'],
    [['start', '3000'], 'unexpected argument "3000"'],
    [['--port'], '"--port" needs a <port>'],
    [['apps', '--json=no'], '"--json" takes no value'],
    [['strat'], 'did you mean "start"?'],
    [['keys', 'rotat'], '"keys" needs one of these commands'],
    [['unknown'], 'Unknown command "unknown"'],
    [['-x'], '"--x" is unknown'],
  ])('refuses the arguments %j with the usage, before anything is done', async (args, message) => {
    const cwd = emptyFolder();
    const { code, output } = await end(args, good, cwd);
    expect(code).toBe(2);
    expect(output).toContain(message);
    expect(output).toContain('\npassage-server ');
    expect(readdirSync(cwd)).toEqual([]);
  });

  it.each([
    [['--help'], 'secret rotate'],
    [['help'], 'secret rotate'],
    [['keys', '--help'], 'keys rotate'],
    [['rotate-key', '--help'], '--now'],
    [['start', '--help'], '--port <port>'],
    [['import', '--help'], '<app id> <file>'],
    [['--version'], '.'],
    [['backup', '--version'], '.'],
  ])('answers %j without configuration', async (args, text) => {
    const { code, output } = await end(args);
    expect(code).toBe(0);
    expect(output).toContain(text);
  });

  it.each([
    [{ PASSAGE_SECRET: '' }, 'PASSAGE_SECRET or PASSAGE_SECRET_FILE must be set'],
    [{ PASSAGE_SECRET: 'c2hvcnQ=' }, 'PASSAGE_SECRET must be at least 32 random bytes'],
    [{ PASSAGE_SECRET: `"${secret}"` }, 'PASSAGE_SECRET has quotes around its value: remove them'],
    [{ PASSAGE_SECRET_FILE: '/x' }, 'PASSAGE_SECRET and PASSAGE_SECRET_FILE exclude each other'],
    [{ PASSAGE_SECRET: '', PASSAGE_SECRET_FILE: '/x' }, 'PASSAGE_SECRET_FILE must name a file'],
    [{ PASSAGE_BASE_URL: '' }, 'PASSAGE_BASE_URL must be set'],
    [{ PASSAGE_BASE_URL: 'http://example.com' }, 'PASSAGE_BASE_URL must be an https URL'],
    [{ PASSAGE_BASE_URL: 'http://passage:3000' }, 'PASSAGE_BASE_URL must be an https URL'],
    [{ PASSAGE_BASE_URL: "'https://example.com'" }, 'PASSAGE_BASE_URL has quotes'],
    [{ PASSAGE_BASE_URL: 'https://example.com\r' }, 'PASSAGE_BASE_URL ends with a line break'],
    [{ PASSAGE_BASE_URL: 'https://example.com ' }, 'PASSAGE_BASE_URL has spaces'],
    [{ DATABASE_URL: 'mysql://localhost/passage' }, 'DATABASE_URL must be'],
    [{ DATABASE_URL: '"postgres://localhost/passage"' }, 'DATABASE_URL has quotes'],
    [{ DATABASE_URL: '"postgres://localhost/passage' }, 'DATABASE_URL must be'],
    [{ DATABASE_URL: 'passage.db\r' }, 'DATABASE_URL ends with a line break'],
    [{ PORT: 'x' }, 'PORT must be a number'],
    [{ PORT: '70000' }, 'PORT must be a number'],
    [{ PORT: '0x50' }, 'PORT must be a number'],
    [{ PORT: '3000\r' }, 'PORT ends with a line break'],
    [{ HOST: '"0.0.0.0"' }, 'HOST has quotes'],
    [{ HOST: '203.0.113.1', PORT: '0' }, 'HOST 203.0.113.1 is not an address of this machine'],
    [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL must be'],
    [{ PASSAGE_ENUMERATION: 'Strict' }, 'PASSAGE_ENUMERATION must be one of passage, strict'],
    [{ PASSAGE_ALLOW_PRIVATE_HTTP: 'yes' }, 'PASSAGE_ALLOW_PRIVATE_HTTP must be true or false'],
    [
      { PASSAGE_TRUSTED_PROXIES: '10.0.0.0/8,proxy' },
      'PASSAGE_TRUSTED_PROXIES must be an IP address or a CIDR range',
    ],
    [{ PASSAGE_RATE_LIMIT_MESSAGES_PER_IP: '30' }, 'PASSAGE_RATE_LIMIT_MESSAGES_PER_IP must be a count'],
    [{ PASSAGE_RATE_LIMIT_STARTS_PER_IP: '0/60' }, 'PASSAGE_RATE_LIMIT_STARTS_PER_IP must be a count'],
    [
      { PASSAGE_RATE_LIMIT_MESSAGES_PER_IPS: '30/60' },
      'PASSAGE_RATE_LIMIT_MESSAGES_PER_IPS is unknown: did you mean',
    ],
    [{ PASSAGE_BASE_ULR: 'x' }, 'PASSAGE_BASE_ULR is unknown: did you mean "PASSAGE_BASE_URL"?'],
    [{ PASSAGE_APP_ID: 'a/b' }, 'PASSAGE_APP_ID must be'],
    [{ PASSAGE_API_KEY: 'short' }, 'PASSAGE_API_KEY must be'],
    [{ PASSAGE_APP_NAME: 'a\u0007' }, 'PASSAGE_APP_NAME contains control characters'],
    [{ PASSAGE_AUTH_ORIGIN: 'https://example.com/login' }, 'PASSAGE_AUTH_ORIGIN must be'],
    [{ PASSAGE_SMTP_URL: 'smtp://localhost' }, 'PASSAGE_SMTP_FROM must be set'],
    [{ PASSAGE_SMTP_URL: 'http://localhost', PASSAGE_SMTP_FROM: 'a@b.co' }, 'PASSAGE_SMTP_URL must be'],
    [{ PASSAGE_WEBHOOK_URL: 'https://example.com' }, 'PASSAGE_WEBHOOK_SECRET must be set'],
    [
      { PASSAGE_WEBHOOK_URL: 'http://example.com', PASSAGE_WEBHOOK_SECRET: secret },
      'PASSAGE_WEBHOOK_URL must be',
    ],
    [
      { PASSAGE_WEBHOOK_URL: 'https://example.com', PASSAGE_WEBHOOK_SECRET: 'x' },
      'PASSAGE_WEBHOOK_SECRET must be',
    ],
    [
      { PASSAGE_SMTP_URL: 'smtp://localhost', PASSAGE_WEBHOOK_URL: 'https://a.example' },
      'exclude each other',
    ],
  ] as [Record<string, string>, string][])(
    'stops on the variables %j, with one line and nothing written',
    async (variables, message) => {
      const cwd = emptyFolder();
      const { code, output } = await end([], { ...good, PORT: '0', ...variables }, cwd);
      expect(output).toMatch(/^passage-server: .+\n$/);
      expect(output).toContain(message);
      expect(code).toBe(1);
      expect(readdirSync(cwd)).toEqual([]);
    },
  );

  it.each(['\n', '\r\n', ''])('takes a secret from a file that ends with %j', async (ending) => {
    const cwd = emptyFolder();
    const file = join(folder, 'secret');
    writeFileSync(file, secret + ending);
    const variables = { PASSAGE_BASE_URL: good.PASSAGE_BASE_URL, PASSAGE_SECRET_FILE: file };
    expect((await end(['create-app'], variables, cwd)).code).toBe(0);
    writeFileSync(file, `"${secret}"\n`);
    expect((await end(['create-app'], variables, cwd)).output).toContain('PASSAGE_SECRET_FILE has quotes');
  });

  it('takes every variable, and starts beside those of other programs', async () => {
    const variables = {
      ...good,
      PORT: '0',
      PASSAGE_BASE_URL: 'http://passage.internal:3000',
      PASSAGE_ALLOW_PRIVATE_HTTP: 'true',
      PASSAGE_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
      PASSAGE_ENUMERATION: 'strict',
      PASSAGE_RATE_LIMIT_STARTS_PER_IP: '1/60',
      PASSAGE_WEBHOOK_URL: 'http://hooks.internal',
      PASSAGE_WEBHOOK_SECRET: secret,
      PASSAGE_AUTH_URL: 'http://passage.internal:3000/auth/v1',
      PASSAGE_LOAD_USER: 'true',
      PASSAGE_OF_ANOTHER_PROGRAM: 'x',
    };
    const server = run([], variables, emptyFolder());
    const port = await portOf(server);
    expect(server.output()).toContain('PASSAGE_OF_ANOTHER_PROGRAM is unknown and ignored');
    expect(server.output()).not.toContain('PASSAGE_AUTH_URL');
    const appId = /PASSAGE_APP_ID=(\w+)/.exec(server.output())?.[1];
    const lookUp = () =>
      fetch(`http://localhost:${port}/auth/v1/apps/${appId}/users?identifier=a@example.com`);
    expect((await lookUp()).status).toBe(200);
    expect((await lookUp()).status).toBe(429);
    server.child.kill();
    await server.ended;
  });

  it('does not print a key that it was given', async () => {
    const apiKey = `${'a'.repeat(10)}.${'b'.repeat(64)}`;
    const server = run(
      [],
      { ...good, PORT: '0', PASSAGE_APP_ID: 'my-app', PASSAGE_API_KEY: apiKey },
      emptyFolder(),
    );
    const port = await portOf(server);
    const users = (key: string) =>
      fetch(`http://localhost:${port}/api/v1/apps/my-app/users`, {
        headers: { Authorization: `Bearer ${key}` },
      });
    expect((await users(apiKey)).status).toBe(200);
    expect((await users(`${apiKey}b`)).status).toBe(401);
    expect(server.output()).toContain('Created the first app.\nPASSAGE_APP_ID=my-app\n');
    expect(server.output()).not.toContain('PASSAGE_API_KEY');
    server.child.kill();
    await server.ended;
  });
});
