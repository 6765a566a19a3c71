import { createServer } from 'node:http';
import { connect, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import serverless from 'serverless-http';
import { describe, expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { baseUrl, origin, TestServer } from '../../test/server.ts';

const memory = async () => ({ location: ':memory:', drop: async () => {} });
const ada = 'ada@example.com';

describeDatabases('Official SDKs of 2022 to 2024', (make) => {
  it('may leave out the type of a JSON body at the Management API, not at the Auth API', async () => {
    await using server = await TestServer.start(make);
    const post = (path: string, headers: Record<string, string>) =>
      server.server.fetch(
        new Request(baseUrl + path, {
          method: 'POST',
          headers,
          // Bytes: a text would bring a type of its own.
          body: new TextEncoder().encode(JSON.stringify({ email: ada, identifier: ada })),
        }),
      );
    const authorization = { Authorization: `Bearer ${server.apiKey}` };
    const users = `/api/v1/apps/${server.appId}/users`;
    expect((await post(users, { ...authorization, 'Content-Type': 'text/plain' })).status).toBe(400);
    expect((await post(users, authorization)).status).toBe(201);
    expect((await post(`/auth/v1/apps/${server.appId}/users`, {})).status).toBe(400);
  });

  it('may send what was not given to a magic link as 0 or an empty text', async () => {
    await using server = await TestServer.start(make);
    const empty = {
      ttl: 0,
      language: '',
      channel: '',
      type: '',
      magic_link_path: '',
      redirect_url: '',
      phone: '',
    };
    const link = await server.manage('POST', '/magic-links', { email: ada, ...empty });
    expect(link).toMatchObject({ status: 201, body: { magic_link: { type: 'login', ttl: 10 } } });
    for (const wrong of [{ ttl: -1 }, { language: 'xx' }, { channel: 'fax' }, { type: 'other' }]) {
      expect(await server.manage('POST', '/magic-links', { email: ada, ...wrong })).toMatchObject({
        status: 400,
      });
    }
  });

  it('may read the app with a scheme and no key', async () => {
    await using server = await TestServer.start(make);
    const read = (authorization: string) =>
      server.call('GET', `/api/v1/apps/${server.appId}`, undefined, {
        headers: { Authorization: authorization },
      });
    expect(await read('Bearer ')).toMatchObject({ status: 200 });
    expect(await read(`Bearer ${'x'.repeat(10)}.${'y'.repeat(64)}`)).toMatchObject({ status: 401 });
  });
});

describe('A page that asks for an app that does not exist', () => {
  it.each(['', '/users', '/.well-known/jwks.json', '/currentuser'])(
    'can read the 404 of %s',
    async (path) => {
      await using server = await TestServer.start(memory);
      const headers = { Origin: 'https://app.example.org' };
      const url = `/auth/v1/apps/unknown${path}`;
      const preflight = await server.call('OPTIONS', url, undefined, { headers });
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get('Access-Control-Allow-Origin')).toBe('https://app.example.org');
      expect(preflight.headers.get('Access-Control-Allow-Headers')).toContain('passage-version');
      const answer = await server.call('GET', url, undefined, { headers });
      expect(answer).toMatchObject({ status: 404, body: { code: 'app_not_found' } });
      expect(answer.headers.get('Access-Control-Allow-Origin')).toBe('https://app.example.org');
      const known = await server.auth('GET', path, undefined, { headers });
      expect(known.headers.get('Access-Control-Allow-Origin')).toBeNull();
    },
  );
});

describe('The handler', () => {
  it('reads requests of function platforms, which have no raw headers', async () => {
    await using server = await TestServer.start(memory);
    const run = serverless(server.server.handler as never);
    const event = {
      version: '2.0',
      rawPath: `/passage/api/v1/apps/${server.appId}/users`,
      rawQueryString: '',
      headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
      requestContext: { http: { method: 'POST', sourceIp: '203.0.113.7' } },
      body: JSON.stringify({ email: ada }),
      isBase64Encoded: false,
    };
    expect(await run(event, {})).toMatchObject({ statusCode: 201 });
    const anonymous = { ...event, headers: { 'content-type': 'application/json' } };
    expect(await run(anonymous, {})).toMatchObject({ statusCode: 401 });
  });

  it('answers over HTTP/2', async () => {
    await using server = await TestServer.start(memory);
    const listener = createHttp2Server(server.server.handler as never).listen(0, '127.0.0.1');
    await new Promise((resolve) => listener.once('listening', resolve));
    const session = connect(`http://127.0.0.1:${(listener.address() as AddressInfo).port}`);
    const call = (headers: Record<string, string>) =>
      new Promise<number>((resolve, reject) => {
        const stream = session.request({ ':path': `/passage/auth/v1/apps/${server.appId}`, ...headers });
        stream.once('response', (answer) => resolve(Number(answer[':status'])));
        stream.once('error', reject);
        stream.resume();
      });
    expect(await call({ origin })).toBe(200);
    expect(await call({ ':path': '/passage/api/v1/apps/x/users' })).toBe(404);
    session.close();
    await new Promise((resolve) => listener.close(resolve));
  });

  it('answers plain HTTP/1.1 as well', async () => {
    await using server = await TestServer.start(memory);
    const listener = createServer(server.server.handler).listen(0, '127.0.0.1');
    await new Promise((resolve) => listener.once('listening', resolve));
    const { port } = listener.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/passage/api/v1/apps/${server.appId}/users`;
    expect((await fetch(url, { headers: { Authorization: `Bearer ${server.apiKey}` } })).status).toBe(200);
    expect((await fetch(url)).status).toBe(401);
    await new Promise((resolve) => listener.close(resolve));
  });
});
