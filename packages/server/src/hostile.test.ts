import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { databases, describeDatabases } from '../test/databases.ts';
import { type Answer, TestServer } from '../test/server.ts';
import type { Route } from './http/routes.ts';
import { managementRoutes } from './management/management.ts';
import { authRoutes } from './router.ts';

const ada = 'ada@example.com';

/** Texts that some database, URL parser or regular expression has stumbled over. */
const texts = [
  '\u0000',
  'a\u0000b',
  'ada\u0000@example.com',
  'ada@example.com\u0000',
  '\u0001\u001b[31m',
  'a\u007fb',
  'a\u0085b',
  '\ud800',
  'a\udfffb',
  '\ufeff\u202e\u200b',
  "'; drop table users; --",
  '%00',
  '%',
  '\\',
  '*%_\\',
  '__proto__',
  '99999999999',
  '-1',
  '1e400',
  'gt:99999999999999999999',
  'like:\u0000',
  '9999-99-99T99:99:99Z',
  'x'.repeat(5_000),
];
const others = [
  null,
  true,
  2 ** 53,
  -(2 ** 31) - 1,
  1.5,
  [],
  [[]],
  {},
  { $ne: 1 },
  { __proto__: null, a: '\u0000' },
];

const shapeOf = (schema: unknown): string[] =>
  schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];

/** Values that a field takes, so that the hostile one is what is looked at. */
const usual: Readonly<Record<string, unknown>> = {
  identifier: ada,
  email: 'eve@example.com',
  new_email: 'eve@example.com',
  new_phone: '+12025550123',
  user_metadata: {},
  friendly_name: 'Phone',
};

/** An answer without what is random in it, and without order. */
function plainOf({ status, body, text }: Answer): unknown {
  // Which users a page shows, and which of them a filter finds, may depend on their random IDs.
  const list = body?.users && { total_users: 0, users: [] };
  const plain = (value: unknown): unknown => {
    if (typeof value === 'string') return nonce.test(value) ? '' : value;
    if (Array.isArray(value))
      return value.map(plain).sort((a, b) => compare(JSON.stringify(a), JSON.stringify(b)));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
  };
  return { status, body: body === undefined ? text : plain({ ...body, ...list }) };
}

/** IDs, challenges, keys and tokens. */
const nonce = /^(?:[A-Za-z0-9]{24}|[\w-]{32,}|[\w-]+\.[\w-]+\.[\w-]+|https:\S+_link=\w+)$/;
const compare = (a = '', b = '') => (a < b ? -1 : Number(a > b));

describe('hostile input', () => {
  const app = {
    id: 'app1',
    userMetadataSchema: [{ fieldName: 'name', type: 'string', registration: true, profile: true }],
  } as const;
  const clock = () => Date.UTC(2026, 0, 1);
  let servers: readonly (readonly [server: TestServer, token: string])[];
  beforeAll(async () => {
    servers = await Promise.all(
      databases.map(async (make) => {
        const server = await TestServer.start(make, { app, clock });
        return [server, (await server.signIn(ada)).token] as const;
      }),
    );
  });
  afterAll(async () => {
    for (const [server] of servers) await server[Symbol.asyncDispose]();
  });

  /** Sends the same request to both databases. */
  const call = async (what: string, route: Route, path: string, given?: object): Promise<number> => {
    const body = route.method === 'GET' ? undefined : given;
    const managed = managementRoutes.includes(route);
    const answers = await Promise.all(
      servers.map(([server, token]) => {
        if (managed) return server.manage(route.method, path, body);
        return server.auth(route.method, path, body, route.access === 'user' ? { token } : {});
      }),
    );
    const [first, second] = answers.map(plainOf);
    expect(second, what).toEqual(first);
    return answers[0]?.status ?? 0;
  };

  const params = (path: string, value: string) => path.replaceAll(/\{\w+\}/g, value);

  it.each(
    [...authRoutes, ...managementRoutes].map((route) => [route.method, route.path || '/', route] as const),
  )(
    'is refused by %s %s alike on both databases, and is no accident of the server',
    async (_method, _path, route) => {
      const answers: [what: string, status: number][] = [];
      const note = async (what: string, path: string, given?: object) => {
        const status = await call(what, route, path, given);
        answers.push([what, status]);
        return status;
      };
      for (const text of texts) {
        const encoded = encodeURIComponent(text.toWellFormed());
        if (route.path.includes('{')) await note(`path ${encoded}`, params(route.path, encoded), {});
        for (const name of [...shapeOf(route.query), 'unknown']) {
          const query = `?${name}=${encoded}&${encoded}=1`;
          const what = `query ${name} ${encoded}`;
          const status = await note(what, params(route.path, 'x') + query, route.body && usual);
          if (route.query && /\p{Cc}/u.test(text)) expect([400, 404], what).toContain(status);
        }
      }
      for (const name of route.body ? [...shapeOf(route.body), 'user_metadata.name'] : []) {
        const [first = '', second] = name.split('.');
        for (const value of [...texts, ...others]) {
          const body = { ...usual, [first]: second ? { [second]: value } : value };
          await note(`body ${name} ${JSON.stringify(value).slice(0, 60)}`, params(route.path, 'x'), body);
        }
      }
      expect(answers.filter(([, status]) => status >= 500)).toEqual([]);
      for (const [server] of servers)
        expect(server.log.filter((line) => line.startsWith('Request failed'))).toEqual([]);
    },
    120_000,
  );
});

describeDatabases('hostile input', (make) => {
  let server: TestServer;
  beforeAll(async () => {
    const name = { fieldName: 'name', type: 'string', registration: true, profile: true } as const;
    server = await TestServer.start(make, { app: { userMetadataSchema: [name] } });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it.each([
    ['[', 60_000],
    ['{"a":', 10_000],
  ])('is no accident where a body is nested: %s', async (opening, depth) => {
    const body =
      opening.repeat(depth) +
      (opening === '[' ? '' : '1') +
      (opening === '[' ? ']' : '}').repeat(depth === 60_000 ? 0 : depth);
    expect((await server.auth('POST', '/login/otp', body)).status).toBe(400);
    const nested = `{"identifier":"${ada}","user_metadata":{"name":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`;
    expect((await server.auth('POST', '/users', nested)).status).toBe(400);
  });

  it('of numbers beyond the column is 400', async () => {
    for (const value of ['gt:99999999999', 'lt:-99999999999', '2147483648', 'eq:999999999999999'])
      expect((await server.manage('GET', `/users?login_count=${value}`)).status, value).toBe(400);
    for (const value of ['gt:2147483647', 'lt:-2147483647', '0'])
      expect((await server.manage('GET', `/users?login_count=${value}`)).status, value).toBe(200);
  });

  it('makes one of two users that claim an address at once, and refuses the other', async () => {
    const claims = ['a', 'b', 'c', 'd', 'e', 'f'];
    const made = await Promise.all(
      claims.map((name) => server.manage('POST', '/users', { email: `${name}@example.com` })),
    );
    const patches = await Promise.all(
      made.map(({ body }) => server.manage('PATCH', `/users/${body.user.id}`, { email: 'one@example.com' })),
    );
    expect(patches.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400, 400]);
    expect(server.log.filter((line) => line.startsWith('Request failed'))).toEqual([]);
  });
});

describe('paths', () => {
  const memory = async () => ({ location: ':memory:', drop: async () => {} });

  /** Sends a request line as it stands: `fetch` would make the path plain. */
  async function send(port: number, target: string, key: string): Promise<number> {
    const socket = connect(port, '127.0.0.1');
    socket.end(
      `GET ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nConnection: close\r\n\r\n`,
    );
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
  }

  it('answer in one spelling only, so that no guard in front is bypassed', async () => {
    await using server = await TestServer.start(memory);
    const { port } = await server.server.listen({ port: 0, host: '127.0.0.1' });
    const status = (target: string) => send(port, target, server.apiKey);
    const users = `/passage/api/v1/apps/${server.appId}/users`;
    for (const plain of ['/passage/metrics', users, `${users}?a=//..%2f`, `http://x${users}`])
      expect(await status(plain), plain).toBe(200);
    for (const other of [
      '/passage//metrics',
      '//passage/metrics',
      '/passage\\metrics',
      '/passage/./metrics',
      '/passage/x/../metrics',
      '/passage/metric%73',
      '/passage/%6Detrics',
      '/passage%2fmetrics',
      '/passage%5Cmetrics',
      '/passage/%2e/metrics',
      '/passage/x/%2E%2e/metrics',
      '/passage/metrics/.',
      '/passage/metrics/..',
      '/passage/metrics%00',
      '/passage/metrics%0a',
      '/passage/metrics%zz',
      '/passage/metrics%c3',
      '/passage/metrics%c2%85',
      `/passage/api/v1/apps/${server.appId}//users`,
      `/passage/api/v1/apps/${server.appId}/user%73`,
      `/passage/api/v1/%61pps/${server.appId}/users`,
      `/passage/login/../api/v1/apps/${server.appId}/users`,
      `http://x/passage//metrics`,
      '/passage/metrics#x',
      '/passage/metrics;x',
      '/passage/metrics%20',
      '/passage/METRICS',
      '/Passage/metrics',
      // At the end of a path of the APIs clients may put a slash.
      ...['metrics', 'livez', 'readyz', 'api/v1/openapi.json', '.well-known/webauthn'].map(
        (path) => `/passage/${path}/`,
      ),
      '/.well-known/webauthn/',
    ])
      expect(await status(other), other).toBe(404);
    expect(await status(`${users}/`)).toBe(200);
    for (const target of ['https:/passage/metrics', 'ftp://x/passage/metrics', 'passage/metrics'])
      expect([400, 404], target).toContain(await status(target));
  });

  it('of a server at the root are no different', async () => {
    await using server = await TestServer.start(memory, { baseUrl: 'https://login.example.com' });
    const { port } = await server.server.listen({ port: 0, host: '127.0.0.1' });
    expect(await send(port, '/metrics', '')).toBe(200);
    for (const other of ['//metrics', '/metrics/', '/metrics#', '/./metrics', '/.well-known/webauthn/'])
      expect(await send(port, other, ''), other).toBe(404);
  });
});
