import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import { message } from '../../test/message.ts';
import { webhook } from './webhook.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

interface Received {
  path: string | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A receiver that gives its answers one after the other, the last one ever again. */
async function startReceiver(...answers: ((response: ServerResponse) => void)[]) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    received.push({ path: request.url, headers: request.headers, body });
    (answers.length > 1 ? answers.shift() : answers[0])?.(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as { port: number };
  return { received, url: `http://127.0.0.1:${port}/hook` };
}

const answer =
  (status: number, headers = {}) =>
  (response: ServerResponse) =>
    response.writeHead(status, headers).end('739154');

function verify({ body, headers }: Received, key = secret) {
  return new Webhook(key).verify(body, headers as Record<string, string>);
}

describe('webhook', () => {
  it('posts the message, signed as Standard Webhooks has it', async () => {
    const { received, url } = await startReceiver(answer(204));
    await webhook({ url, secret }).send(message);
    const [request] = received as [Received];
    expect(request.path).toBe('/hook');
    expect(request.headers['content-type']).toBe('application/json');
    expect(verify(request)).toMatchObject({
      type: 'message.otp',
      data: {
        app_id: 'app1',
        channel: 'email',
        to: 'ada@example.com',
        language: 'en',
        code: '739154',
        expires_at: '2026-01-01T00:05:00.000Z',
        text: message.text,
      },
    });
  });

  it('verifies that somebody answers, without posting a message', async () => {
    const { received, url } = await startReceiver(answer(405), answer(503));
    const { verify: check } = webhook({ url, secret });
    await check?.();
    expect(received).toMatchObject([{ body: '' }]);
    await expect(check?.()).rejects.toMatchObject({ failure: 'unavailable', status: 503 });
    await expect(webhook({ url: 'http://127.0.0.1:1/', secret }).verify?.()).rejects.toMatchObject({
      failure: 'unreachable',
    });
  });

  it('makes a signature that no other body, time or key has', async () => {
    const { received, url } = await startReceiver(answer(200));
    await webhook({ url, secret }).send(message);
    const [request] = received as [Received];
    const headers = { ...request.headers, 'webhook-timestamp': '1' };
    expect(() => verify({ ...request, body: request.body.replace('ada@', 'eve@') })).toThrow();
    expect(() => verify({ ...request, headers })).toThrow();
    expect(() => verify(request, `whsec_${Buffer.alloc(32, 8).toString('base64')}`)).toThrow();
  });

  it('tries again when the receiver is in trouble, with the same id', async () => {
    const { received, url } = await startReceiver(answer(503), answer(200));
    await webhook({ url, secret }).send(message);
    expect(received).toHaveLength(2);
    expect(received[0]?.headers['webhook-id']).toBe(received[1]?.headers['webhook-id']);
  });

  it('gives up after its tries', async () => {
    const { received, url } = await startReceiver(answer(500));
    const send = webhook({ url, secret, retries: 1 }).send(message);
    await expect(send).rejects.toMatchObject({ failure: 'unavailable', status: 500 });
    expect(received).toHaveLength(2);
  });

  it('does not repeat what the receiver refused', async () => {
    const { received, url } = await startReceiver(answer(422));
    const send = webhook({ url, secret }).send(message);
    await expect(send).rejects.toMatchObject({ failure: 'rejected', status: 422 });
    expect(received).toHaveLength(1);
  });

  it('does not follow a redirect', async () => {
    const target = await startReceiver(answer(200));
    const { received, url } = await startReceiver(answer(307, { location: target.url }));
    await expect(webhook({ url, secret }).send(message)).rejects.toMatchObject({ status: 307 });
    expect(received).toHaveLength(1);
    expect(target.received).toHaveLength(0);
  });

  it('gives up on a receiver that does not answer', async () => {
    const { url } = await startReceiver(() => {});
    const send = webhook({ url, secret, timeout: 50, retries: 0 }).send(message);
    await expect(send).rejects.toMatchObject({ failure: 'timeout' });
  });

  it('says that the receiver cannot be reached, in fixed words', async () => {
    const { url } = await startReceiver(answer(200));
    for (const close of closers.splice(0)) close();
    const error = await webhook({ url, secret, retries: 0 })
      .send(message)
      .then(undefined, (reason: Error) => reason);
    expect(error).toMatchObject({
      failure: 'unreachable',
      message: 'The delivery service cannot be reached',
    });
    expect(JSON.stringify({ ...error, stack: error?.stack, cause: error?.cause })).not.toMatch(/739154|ada@/);
  });

  it.each(['http://hooks.example/x', 'ftp://127.0.0.1/', 'https://u:p@hooks.example/', 'hooks.example', ''])(
    'refuses the address %j',
    (url) => {
      expect(() => webhook({ url, secret })).toThrow('"url" option');
    },
  );

  it.each(['https://hooks.example/x', 'http://localhost:1/', 'http://[::1]:1/'])(
    'accepts the address %j',
    (url) => {
      expect(() => webhook({ url, secret })).not.toThrow();
    },
  );

  it('refuses a secret that is short or no base64', () => {
    const url = 'https://hooks.example/x';
    for (const weak of ['', 'whsec_', Buffer.alloc(23).toString('base64'), '!'.repeat(40)]) {
      expect(() => webhook({ url, secret: weak })).toThrow('"secret" option');
    }
    expect(() => webhook({ url, secret: Buffer.alloc(24).toString('base64') })).not.toThrow();
  });
});
