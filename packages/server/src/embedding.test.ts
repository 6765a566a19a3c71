import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import express, { type Express } from 'express';
import { fastify } from 'fastify';
import { Hono } from 'hono';
import { afterEach, describe, expect, it } from 'vitest';
import { baseUrl, secret, signingKey } from '../test/server.ts';
import { createPassageServer, outbox, type PassageServer } from './index.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A server below `/passage`, as every test here mounts it. */
async function start(): Promise<PassageServer> {
  const server = await createPassageServer({
    baseUrl,
    secret,
    database: ':memory:',
    app: { signingKey },
    delivery: outbox({ print: false }),
  });
  closing.push(() => server.close());
  return server;
}

/** Reads, writes, changes and deletes through what a framework serves. */
async function expectWorking(server: PassageServer, origin: string): Promise<void> {
  const { appId, apiKey } = server.created ?? { appId: '', apiKey: '' };
  const call = (method: string, path: string, body?: object) =>
    fetch(`${origin}/passage${path}`, {
      method,
      headers: { Authorization: `Bearer ${apiKey}`, ...(body && { 'Content-Type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  expect((await call('GET', `/auth/v1/apps/${appId}`)).status).toBe(200);
  const created = await call('POST', `/api/v1/apps/${appId}/users`, { email: 'ada@example.com' });
  expect(created.status).toBe(201);
  const { user } = await created.json();
  const changed = await call('PATCH', `/api/v1/apps/${appId}/users/${user.id}`, { phone: '+12025550123' });
  expect(await changed.json()).toMatchObject({ user: { phone: '+12025550123' } });
  expect((await call('PATCH', `/api/v1/apps/${appId}/users/${user.id}/activate`)).status).toBe(200);
  expect((await call('GET', `/api/v1/apps/${appId}/users?identifier=ada%40example.com`)).status).toBe(200);
  const deleted = await call('DELETE', `/api/v1/apps/${appId}/users/${user.id}`);
  expect([deleted.status, await deleted.text()]).toEqual([200, '']);
  expect((await call('GET', '/login')).headers.get('Content-Type')).toContain('text/html');
  expect((await call('HEAD', `/auth/v1/apps/${appId}`)).status).toBe(200);
}

async function listen(app: Express): Promise<string> {
  const server = app.listen(0);
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  await new Promise((resolve) => server.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('mounted below a path', () => {
  it('works in Express', async () => {
    const server = await start();
    const app = express();
    app.use('/passage', server.handler);
    app.get('/', (_, res) => void res.send('own'));
    const origin = await listen(app);
    await expectWorking(server, origin);
    expect(await (await fetch(origin)).text()).toBe('own');
  });

  it('works in Express behind a body parser', async () => {
    const server = await start();
    const app = express();
    app.use(express.json());
    app.use('/passage', server.handler);
    await expectWorking(server, await listen(app));
  });

  it('works in Fastify', async () => {
    const server = await start();
    const app = fastify();
    app.register(async (scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
      scope.all('/passage/*', (request, reply) => {
        reply.hijack();
        server.handler(request.raw, reply.raw);
      });
    });
    closing.push(() => app.close());
    await expectWorking(server, await app.listen({ port: 0, host: '127.0.0.1' }));
  });

  it('works in Hono', async () => {
    const server = await start();
    const app = new Hono();
    app.all('/passage/*', (context) => server.fetch(context.req.raw));
    const { appId } = server.created ?? {};
    expect((await app.request(`${baseUrl}/auth/v1/apps/${appId}`)).status).toBe(200);
  });

  class AppModule {}
  Module({})(AppModule);

  it('works in Nest on Express', async () => {
    const server = await start();
    const app = await NestFactory.create(AppModule, { logger: false });
    app.use('/passage', server.handler);
    closing.push(() => app.close());
    await app.listen(0, '127.0.0.1');
    await expectWorking(server, await app.getUrl());
  });

  it('works in Nest on Fastify', async () => {
    const server = await start();
    const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), {
      logger: false,
    });
    app.use('/passage', server.handler);
    closing.push(() => app.close());
    await app.listen(0, '127.0.0.1');
    await expectWorking(server, await app.getUrl());
  });
});

describe('on its own port', () => {
  it('answers, and finishes what is under way when it closes', async () => {
    const server = await start();
    const { port, url } = await server.listen({ port: 0, host: '127.0.0.1' });
    expect(url).toBe(baseUrl);
    await expectWorking(server, `http://127.0.0.1:${port}`);
    const get = (path: string) => fetch(`http://127.0.0.1:${port}/passage${path}`);
    const keys = `/auth/v1/apps/${server.created?.appId}/.well-known/jwks.json`;
    expect((await get('/readyz')).status).toBe(200);
    const pending = Array.from({ length: 50 }, () => get(keys));
    const begun = Date.now();
    const closed = server.close();
    const ready = await get('/readyz');
    const answers = await Promise.all(pending);
    await closed;
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200));
    // Load balancers send the next requests elsewhere.
    expect(ready.status).toBe(503);
    expect(Date.now() - begun).toBeLessThan(10_000);
  });

  it('confirms a document without saying that it is empty', async () => {
    const server = await start();
    const { port } = await server.listen({ port: 0 });
    const url = `http://127.0.0.1:${port}/passage/login.css`;
    const whole = await fetch(url);
    expect(whole.headers.get('Content-Length')).toBe(String((await whole.text()).length));
    const headers = { 'If-None-Match': whole.headers.get('ETag') ?? '' };
    const confirmed = await fetch(url, { headers, cache: 'no-store' });
    expect([confirmed.status, confirmed.headers.get('Content-Length')]).toEqual([304, null]);
    expect(confirmed.headers.get('ETag')).toBe(whole.headers.get('ETag'));
  });

  it('says when the port is taken', async () => {
    const [server, second] = [await start(), await start()];
    const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
    await expect(second.listen({ port, host: '127.0.0.1' })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('refuses bodies above 64 KB, said or not said beforehand', async () => {
    const server = await start();
    const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
    const url = `http://127.0.0.1:${port}/passage/auth/v1/apps/${server.created?.appId}/users`;
    const headers = { 'Content-Type': 'application/json' };
    const large = await fetch(url, {
      method: 'POST',
      headers,
      body: JSON.stringify({ identifier: 'x'.repeat(70_000) }),
    });
    expect(large.status).toBe(413);
    const small = await fetch(url, {
      method: 'POST',
      headers,
      body: JSON.stringify({ identifier: 'ada@example.com' }),
    });
    expect(small.status).toBe(201);
  });
});
