import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { describeStored } from '../../test/databases.ts';
import { origin, TestServer } from '../../test/server.ts';
import { openStorage } from '../storage/database.ts';

const memory = async () => ({ location: ':memory:', drop: async () => {} });
const proxy = '10.0.0.1';
const random = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;
const header = 'X-Request-Id';

function expectCommonHeaders(headers: Headers) {
  expect(headers.get(header)).toMatch(random);
  expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
  expect(headers.get('Referrer-Policy')).toBe('no-referrer');
  expect(headers.has('Cache-Control')).toBe(true);
}

describe('The ID of a request', () => {
  const start = () => TestServer.start(memory, { trustedProxies: [proxy] });

  it('is that of a trusted proxy', async () => {
    await using server = await start();
    for (const id of ['a', 'Trace_1.2-3', 'x'.repeat(128)]) {
      const { headers } = await server.call('GET', '/livez', undefined, {
        ip: proxy,
        headers: { [header]: id },
      });
      expect(headers.get(header)).toBe(id);
    }
  });

  it.each([
    ['a stranger', '203.0.113.7', 'trace'],
    ['nobody knows whom', undefined, 'trace'],
    ['the proxy, empty', proxy, ''],
    ['the proxy, too long', proxy, 'x'.repeat(129)],
    ['the proxy, with a blank', proxy, 'a b'],
    ['the proxy, twice', proxy, 'a, b'],
    ['the proxy, with quotes', proxy, 'a","user":"eve'],
    ['the proxy, with an escape', proxy, 'a\\u001b[31m'],
    ['the proxy, in another script', proxy, 'é'],
  ])('is a new one where it comes from %s', async (_, ip, id) => {
    await using server = await start();
    const options = { ...(ip && { ip }), headers: { [header]: id } };
    const ids = [];
    for (let count = 0; count < 2; count++)
      ids.push((await server.call('GET', '/livez', undefined, options)).headers.get(header));
    expect(ids).toEqual([expect.stringMatching(random), expect.stringMatching(random)]);
    expect(ids[0]).not.toBe(ids[1]);
  });

  it('is on every answer with the other common headers, and pages may read it', async () => {
    await using server = await start();
    const app = `/auth/v1/apps/${server.appId}`;
    const page = { headers: { Origin: origin } };
    const large = JSON.stringify({ identifier: 'x'.repeat(70_000) });
    for (const [status, answer] of [
      [200, await server.call('GET', app, undefined, page)],
      [200, await server.call('GET', '/login')],
      [204, await server.call('OPTIONS', `${app}/login/otp`, undefined, page)],
      [401, await server.call('GET', `${app}/currentuser`, undefined, page)],
      [404, await server.call('GET', '/nothing')],
      [404, await server.call('GET', '//metrics')],
      [413, await server.call('POST', `${app}/login/otp`, large, page)],
    ] as const) {
      expect(answer.status).toBe(status);
      expectCommonHeaders(answer.headers);
      const exposed = answer.headers.get('Access-Control-Expose-Headers');
      if (answer.headers.has('Access-Control-Allow-Origin')) expect(exposed).toContain(header);
    }
    const outside = await server.server.fetch(new Request('https://login.example.com/other'));
    expect(outside.status).toBe(404);
    expectCommonHeaders(outside.headers);
  });

  it('is on what the handler of node:http refuses by itself', async () => {
    await using server = await TestServer.start(memory, { trustedProxies: ['127.0.0.1'] });
    const { port } = await server.server.listen({ port: 0, host: '127.0.0.1' });
    const send = async (head: string, body = '') => {
      const socket = connect(port, '127.0.0.1');
      const fields = `Host: x\r\nX-Request-Id: trace-1\r\nContent-Length: ${body.length}\r\nConnection: close`;
      socket.write(`${head} HTTP/1.1\r\n${fields}\r\n\r\n${body}`);
      let answer = '';
      for await (const chunk of socket) answer += chunk;
      expect(answer).toMatch(/^x-content-type-options: nosniff$/im);
      const [, status] = /^HTTP\/1\.1 (\d+)/.exec(answer) ?? [];
      return `${status} ${/^x-request-id: (.*)$/im.exec(answer)?.[1]?.trim()}`;
    };
    const login = `POST /passage/auth/v1/apps/${server.appId}/login/otp`;
    expect(await send('GET /passage/livez')).toBe('200 trace-1');
    expect(await send('GET /passage//livez')).toBe('404 trace-1');
    expect(await send(login, ' '.repeat(70_000))).toBe('413 trace-1');
  });
});

/** Fields that docs/operations.md lists. */
function readDocumented(): string[] {
  const page = readFileSync(new URL('../../../../docs/operations.md', import.meta.url), 'utf8');
  const [, section = ''] = /^## Logs$(.*?)^## /ms.exec(page) ?? [];
  return [...section.matchAll(/^\| ((?:`\w+`(?:, )?)+) \|/gm)].flatMap(([, names = '']) =>
    names.split(', ').map((name) => name.replaceAll('`', '')),
  );
}

describeStored('The log', (make) => {
  it('names the request in each line that it causes, by fields that are documented', async () => {
    await using server = await TestServer.start(make, {
      rateLimits: { wrongCodesPerAddress: { count: 1, window: 60 } },
      signingKeyRotation: 1,
      trustedProxies: [proxy],
      delivery: {
        send: async ({ to }) => {
          if (to === 'lost@example.com') throw new Error('no such mailbox');
        },
      },
    });
    const ids: string[] = [];
    const note = ({ headers }: { headers: Headers }) => ids.push(headers.get(header) ?? '');
    const made = server.log.length;
    const fieldsOf = (line: string): Record<string, unknown> => JSON.parse(line.slice(line.indexOf('{')));
    const call = (method: string, path: string, body?: object, options = {}) =>
      server.auth(method, path, body, { ip: proxy, ...options });

    // A passkey, a link, and what must not happen.
    await server.register('ada@example.com');
    const { token, refreshToken } = await server.signIn('ada@example.com');
    note(await call('POST', '/login/otp', { identifier: 'lost@example.com' }));
    note(await call('POST', '/register/otp', { identifier: 'lost@example.com' }));
    const { body } = await call('POST', '/login/otp', { identifier: 'ada@example.com' });
    for (let tries = 0; tries < 3; tries++)
      note(await call('POST', '/otp/activate', { otp_id: body.otp_id, otp: '000000' }));
    note(await call('POST', '/tokens', { refresh_token: refreshToken }));
    server.advance(60);
    note(await call('POST', '/tokens', { refresh_token: refreshToken }));
    note(
      await call('GET', '/currentuser', undefined, { token, headers: { Origin: 'https://evil.example' } }),
    );
    note(await server.manage('GET', '/users', undefined, { token: `${'a'.repeat(10)}.${'b'.repeat(64)}` }));
    const start = await call('POST', '/login/webauthn/start', {});
    note(
      await call('POST', '/login/webauthn/finish', {
        handshake_id: start.body.handshake.id,
        handshake_response: { id: 'x', rawId: 'x', type: 'public-key', response: {} },
      }),
    );
    const caused = server.log.slice(made).map(fieldsOf);
    expect(caused.length).toBeGreaterThan(6);
    for (const fields of caused) expect(fields.request, JSON.stringify(fields)).toMatch(random);
    expect(new Set(caused.map(({ request }) => request)).size).toBeGreaterThan(4);
    expect(ids).toEqual(expect.arrayContaining([caused.at(-1)?.request]));

    // What no request causes.
    const before = server.log.length;
    server.advance(86_400);
    await server.server.runScheduled();
    await server.server.apps.createApiKey(server.appId);
    const own = server.log.slice(before).map(fieldsOf);
    expect(own.length).toBeGreaterThan(1);
    for (const fields of own) expect(fields).not.toHaveProperty('request');

    const used = new Set([...server.log.map(fieldsOf)].flatMap(Object.keys));
    expect([...used].filter((name) => !readDocumented().includes(name))).toEqual([]);
    expect([...used]).toEqual(expect.arrayContaining(['app', 'user', 'event', 'ip', 'reason', 'request']));
  });

  it('has the ID of an answer that says nothing of an accident', async () => {
    const database = await make();
    const server = await TestServer.start(async () => database);
    const storage = await openStorage(database.location);
    await sql`alter table users rename to hidden`.execute(storage.db);
    const answer = await server.manage('GET', '/users');
    expect(answer.status).toBe(500);
    expect(server.log.at(-1)).toMatch(/^Request failed /);
    expect(server.log.at(-1)).toContain(`"request":"${answer.headers.get(header)}"`);
    await sql`alter table hidden rename to users`.execute(storage.db);
    await storage.close();
    await server[Symbol.asyncDispose]();
  });
});
