import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { afterAll, describe, expect, it } from 'vitest';
import { describeStored, makeSchema, postgres, type TestDatabase } from '../../test/databases.ts';
import { receiveEvents } from '../../test/eventreceiver.ts';
import { built, portOf, run } from '../../test/process.ts';
import { startReceiver, webhookSecret } from '../../test/receiver.ts';
import { baseUrl, secret, TestServer, type TestServerOptions } from '../../test/server.ts';
import { readEnvironment } from '../environment.ts';
import { createPassageServer } from '../index.ts';
import { openStorage } from '../storage/database.ts';
import { webhookTypes } from './types.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-events-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Starts a server, and opens its database beside it. */
async function start(
  make: () => Promise<TestDatabase>,
  url: string | undefined,
  options: TestServerOptions = {},
) {
  let location = '';
  const eventWebhook = url ? { url, secret: webhookSecret } : undefined;
  const server = await TestServer.start(
    async () => {
      const database = await make();
      location = database.location;
      return database;
    },
    { eventWebhook, ...options },
  );
  const storage = await openStorage(location);
  return {
    server,
    location,
    rows: () =>
      storage.db.selectFrom('webhooks').selectAll().orderBy('created_at').orderBy('position').execute(),
    send: () => server.server.runScheduled(),
    async [Symbol.asyncDispose]() {
      await storage.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const user = async (server: TestServer, email: string) =>
  (await server.manage('POST', '/users', { email })).body.user.id as string;

describeStored('The event webhook', (make) => {
  it('sends each kind of event right after its commit, signed, without secrets and addresses', async () => {
    await using receiver = await startReceiver();
    const userMetadataSchema = [{ fieldName: 'color', type: 'string' }] as const;
    await using started = await start(make, receiver.url, {
      app: { userMetadataSchema: [...userMetadataSchema] },
    });
    const { server } = started;
    const ada = await server.register('ada@example.com');
    const { otpId: otp_id, code: otp } = await server.sendCode('ada@example.com');
    await server.auth('POST', '/otp/activate', { otp_id, otp });
    await expect.poll(receiver.types, { timeout: 10_000 }).toEqual([
      'user.created',
      'passkey.added',
      'user.login',
      // The address is proven, which removes the passkey that was made before.
      'user.updated',
      'user.updated',
      'user.login',
    ]);
    const fields = receiver.arrivals.flatMap(({ event }) => (event.data.fields ? [event.data.fields] : []));
    expect(fields).toEqual([['email_verified'], ['webauthn_devices']]);

    const grace = await server.register('grace@example.com');
    const path = `/users/${grace.id}`;
    const { body } = await server.manage('GET', `${path}/devices`);
    await server.manage('PATCH', path, { phone: '+15005550006', user_metadata: { color: 'mauve' } });
    const refresh_token = grace.refreshToken;
    await server.auth('POST', '/tokens', { refresh_token });
    server.advance(11);
    await server.auth('POST', '/tokens', { refresh_token });
    await server.manage('DELETE', `${path}/devices/${body.devices[0].id}`);
    await server.manage('PATCH', `${path}/deactivate`);
    await server.manage('PATCH', `${path}/activate`);
    await server.manage('DELETE', path);
    await started.send();
    const own = receiver.arrivals.filter(({ event }) => event.data.user_id === grace.id);
    expect(own.map(({ event }) => event.type)).toEqual([
      'user.created',
      'passkey.added',
      'user.login',
      'user.updated',
      'user.updated',
      'refresh_token.reused',
      'passkey.deleted',
      'user.deactivated',
      'user.activated',
      'user.deleted',
    ]);
    expect(own[6]?.event.data).toEqual({
      app_id: server.appId,
      user_id: grace.id,
      passkey_id: body.devices[0].id,
    });
    expect(new Set(receiver.types())).toEqual(new Set(webhookTypes));
    expect(new Set(receiver.arrivals.map(({ id }) => id)).size).toBe(receiver.arrivals.length);
    const all = receiver.arrivals.map((one) => one.body).join();
    for (const hidden of [ada.token, grace.refreshToken ?? '-', otp, server.apiKey, 'mauve', '@', '+1500'])
      expect(all).not.toContain(hidden);
    expect((await started.rows()).every(({ state, attempts }) => state === 'sent' && attempts === 1)).toBe(
      true,
    );
    const { text } = await server.call('GET', '/metrics');
    expect(text).toContain(`passage_event_webhooks_total{outcome="sent"} ${receiver.arrivals.length}`);
    expect(text).toContain('passage_event_webhooks_oldest_waiting_seconds 0');
    // They are kept for a week.
    server.advance(7 * 86_400 - 60);
    await started.send();
    expect(await started.rows()).not.toEqual([]);
    server.advance(660);
    await started.send();
    expect(await started.rows()).toEqual([]);
  });

  it('leaves nothing where it is not configured, and nothing of what was rolled back', async () => {
    await using off = await start(make, undefined);
    await off.server.register('ada@example.com');
    expect(await off.rows()).toEqual([]);

    await using receiver = await startReceiver();
    await using on = await start(make, receiver.url);
    const { server } = on;
    await server.manage('POST', '/users', { email: 'taken@example.com', phone: '+15005550006' });
    const id = await user(server, 'ada@example.com');
    const before = (await on.rows()).length;
    const taken = { email: 'other@example.com', phone: '+15005550006' };
    expect((await server.manage('PATCH', `/users/${id}`, taken)).status).toBe(400);
    expect(await on.rows()).toHaveLength(before);
  });

  it('keeps the order of each user, whatever fails in between, and the ID of each event', async () => {
    let failing = '';
    await using receiver = await startReceiver(({ data }) => (data.user_id === failing ? 503 : 200));
    await using started = await start(make, receiver.url);
    const { server, send } = started;
    const [ada, grace] = [await user(server, 'ada@example.com'), await user(server, 'grace@example.com')];
    await send();
    receiver.arrivals.length = 0;
    failing = ada;
    for (const path of ['deactivate', 'activate'])
      for (const id of [ada, grace]) await server.manage('PATCH', `/users/${id}/${path}`);
    await send();
    const of = (id: string) =>
      receiver.arrivals.flatMap(({ event }) => (event.data.user_id === id ? [event.type] : []));
    expect(of(grace)).toEqual(['user.deactivated', 'user.activated']);
    expect(of(ada)).toEqual(['user.deactivated']);
    server.advance(4);
    await send();
    expect(of(ada)).toHaveLength(1);
    server.advance(1);
    await send();
    expect(of(ada)).toHaveLength(2);
    failing = '';
    server.advance(9);
    await send();
    expect(of(ada)).toHaveLength(2);
    server.advance(1);
    await send();
    expect(of(ada)).toEqual(['user.deactivated', 'user.deactivated', 'user.deactivated', 'user.activated']);
    const ids = receiver.arrivals.flatMap(({ id, event }) => (event.data.user_id === ada ? [id] : []));
    expect(new Set(ids.slice(0, 3)).size).toBe(1);
    expect(ids[3]).not.toBe(ids[0]);
    expect(server.log.join()).toContain('was not accepted and will be retried');
  });

  it('is tried for a day, and then given up, logged and sent again on demand', async () => {
    let status = 500;
    await using receiver = await startReceiver(() => status);
    await using started = await start(make, receiver.url);
    const { server, send } = started;
    const begun = server.now;
    await user(server, 'ada@example.com');
    await send();
    const waits: number[] = [];
    for (let tries = 1; (await started.rows())[0]?.state === 'waiting' && tries < 50; tries++) {
      const [row] = await started.rows();
      waits.push(((row?.due_at ?? 0) - server.now) / 1_000);
      server.advance(waits.at(-1) ?? 0);
      await send();
      expect(receiver.arrivals).toHaveLength(tries + 1);
    }
    expect(waits.slice(0, 5)).toEqual([5, 10, 20, 40, 80]);
    expect(Math.max(...waits)).toBe(7_200);
    const hours = (server.now - begun) / 3_600_000;
    expect(hours).toBeGreaterThanOrEqual(24);
    expect(hours).toBeLessThan(26);
    expect(await started.rows()).toMatchObject([{ state: 'failed', answer: 'status 500' }]);
    expect(server.log.filter((line) => line.includes('Event webhook failed'))).toHaveLength(1);
    status = 200;
    server.advance(100_000);
    await send();
    expect(receiver.arrivals).toHaveLength(waits.length + 1);
  });

  it('is waited for when the server closes', async () => {
    let release = () => {};
    const wait = new Promise<void>((resolve) => {
      release = resolve;
    });
    await using receiver = await startReceiver(() => wait.then(() => 200));
    const started = await start(make, receiver.url);
    await user(started.server, 'ada@example.com');
    await expect.poll(receiver.types, { timeout: 5_000 }).toHaveLength(1);
    const closing = started.server.server.close();
    release();
    await closing;
    expect(await started.rows()).toMatchObject([{ state: 'sent' }]);
    await started[Symbol.asyncDispose]();
  });
});

describe('The receiver of docs/recipes.md', () => {
  it('is what the page shows', () => {
    const read = (path: string) =>
      readFileSync(new URL(path, import.meta.url), 'utf8').replaceAll('\r\n', '\n');
    const code = read('../../test/eventreceiver.ts');
    expect(read('../../../../docs/recipes.md')).toContain(`\`\`\`ts\n${code}\`\`\``);
  });

  it('takes what the server signed, and nothing else', async () => {
    const forgotten: string[] = [];
    let broken = true;
    const app = express().use(
      '/events',
      receiveEvents(webhookSecret, async (userId) => {
        if (broken) throw new Error('The database of the app is away');
        forgotten.push(userId);
      }),
    );
    // Express prints errors outside of tests.
    app.set('env', 'test');
    const listener = app.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/events`;
    const forged = { 'content-type': 'application/json', 'webhook-id': 'evt_1', 'webhook-timestamp': '1' };
    expect((await fetch(url, { method: 'POST', headers: forged, body: '{}' })).status).toBe(401);

    await using started = await start(() => makeSchema(postgres()), url);
    const id = await user(started.server, 'ada@example.com');
    await started.server.manage('DELETE', `/users/${id}`);
    await started.send();
    expect(await started.rows()).toMatchObject([
      { state: 'sent' },
      { state: 'waiting', answer: 'status 500' },
    ]);
    broken = false;
    started.server.advance(5);
    await started.send();
    expect(forgotten).toEqual([id]);
    listener.close();
  });
});

describe('Its configuration', () => {
  const url = 'https://www.example.com/events';
  const variables = { PASSAGE_SECRET: secret, PASSAGE_BASE_URL: baseUrl };

  it.each([
    [{ url: 'http://example.com/', secret: webhookSecret }, '"eventWebhook.url" option must be an https URL'],
    [{ url, secret: 'short' }, '"eventWebhook.secret" option must be 24 to 64 random bytes in base64'],
    [{ url, secret: webhookSecret, timeout: 0 }, '"eventWebhook.timeout" option must be a whole number'],
    [{ url, secret: webhookSecret, retries: 2 }, '"eventWebhook.retries" option is unknown'],
  ])('is refused by the name of what is wrong: %j', async (eventWebhook, message) => {
    await expect(createPassageServer({ baseUrl, secret, eventWebhook })).rejects.toThrow(message);
  });

  it('is read from variables, and from the file of the secret', () => {
    const { options } = readEnvironment(
      {
        ...variables,
        PASSAGE_EVENT_WEBHOOK_URL: url,
        PASSAGE_EVENT_WEBHOOK_SECRET_FILE: '/run/secrets/events',
        PASSAGE_AUDIT_RETENTION: '30',
      },
      () => `${webhookSecret}\n`,
    );
    expect(options.eventWebhook).toEqual({ url, secret: webhookSecret });
    expect(options.auditRetention).toBe(30);
  });

  it.each([
    [{ PASSAGE_EVENT_WEBHOOK_URL: url }, 'PASSAGE_EVENT_WEBHOOK_SECRET must be set'],
    [{ PASSAGE_EVENT_WEBHOOK_SECRET: webhookSecret }, 'PASSAGE_EVENT_WEBHOOK_URL must be set'],
    [
      { PASSAGE_EVENT_WEBHOOK_URL: 'http://example.com/', PASSAGE_EVENT_WEBHOOK_SECRET: webhookSecret },
      'PASSAGE_EVENT_WEBHOOK_URL must be an https URL',
    ],
    [
      { PASSAGE_EVENT_WEBHOOK_URL: url, PASSAGE_EVENT_WEBHOOK_SECRET: 'short' },
      'PASSAGE_EVENT_WEBHOOK_SECRET must be 24 to 64 random bytes',
    ],
    [{ PASSAGE_AUDIT_RETENTION: '1y' }, 'PASSAGE_AUDIT_RETENTION must be a whole number of days'],
  ])('is refused by the name of the variable: %j', (more, message) => {
    expect(() => readEnvironment({ ...variables, ...more }, () => '')).toThrow(message);
  });
});

describe('Two processes', () => {
  it('send each event once', async () => {
    await using receiver = await startReceiver();
    await using started = await start(() => makeSchema(postgres()), undefined);
    const { server, location } = started;
    const two = await Promise.all(
      [1, 2].map(() =>
        createPassageServer({
          baseUrl,
          secret,
          database: location,
          eventWebhook: { url: receiver.url, secret: webhookSecret },
          rateLimits: false,
        }),
      ),
    );
    const create = (index: number) =>
      two[index % 2]?.fetch(
        new Request(`${baseUrl}/api/v1/apps/${server.appId}/users`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${server.apiKey}`, 'Content-Type': 'application/json' },
          body: JSON.stringify({ email: `u${index}@example.com` }),
        }),
      );
    await Promise.all(Array.from({ length: 60 }, (_, index) => create(index)));
    await Promise.all(two.map((one) => one.runScheduled()));
    expect(receiver.arrivals).toHaveLength(60);
    expect(new Set(receiver.arrivals.map(({ id }) => id)).size).toBe(60);
    await Promise.all(two.map((one) => one.close()));
  });
});

describe.skipIf(!built)('A process that is killed (needs a build)', () => {
  describeStored('between storing and sending', (make) => {
    it('loses no event', async () => {
      let hanging = true;
      await using receiver = await startReceiver(() => (hanging ? new Promise<number>(() => {}) : 200));
      const database = await make();
      const first = await TestServer.start(async () => ({ ...database, drop: async () => {} }));
      await first.server.close();
      const variables = {
        PASSAGE_SECRET: secret,
        PASSAGE_BASE_URL: 'http://localhost:3000',
        DATABASE_URL: database.location,
        PASSAGE_EVENT_WEBHOOK_URL: receiver.url,
        PASSAGE_EVENT_WEBHOOK_SECRET: webhookSecret,
        PORT: '0',
        HOST: '127.0.0.1',
      };
      const server = run([], variables, folder);
      const response = await fetch(
        `http://127.0.0.1:${await portOf(server)}/api/v1/apps/${first.appId}/users`,
        {
          method: 'POST',
          headers: { Authorization: `Bearer ${first.apiKey}`, 'Content-Type': 'application/json' },
          body: '{"email":"ada@example.com"}',
        },
      );
      expect(response.status).toBe(201);
      await expect.poll(() => receiver.arrivals.length, { timeout: 10_000 }).toBe(1);
      server.child.kill('SIGKILL');
      await server.ended;
      hanging = false;
      let ahead = 0;
      const next = await createPassageServer({
        baseUrl,
        secret,
        database: database.location,
        eventWebhook: { url: receiver.url, secret: webhookSecret },
        clock: () => Date.now() + ahead,
      });
      await next.runScheduled();
      expect(receiver.arrivals).toHaveLength(1);
      ahead = 60_000;
      await next.runScheduled();
      expect(receiver.types()).toEqual(['user.created', 'user.created']);
      expect(receiver.arrivals[1]?.id).toBe(receiver.arrivals[0]?.id);
      await next.close();
      await database.drop();
    }, 60_000);
  });
});
