import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type RequestHandler } from 'express';
import { expect, it } from 'vitest';
import { passageErrors, withPrincipal } from './index.ts';

/** Answers one request by a handler that no `passageAuth()` stands before. */
async function ask(handler: RequestHandler): Promise<Response> {
  const app = express();
  app.get('/', handler, passageErrors());
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
  }
}

it('refuses the request where the middleware was forgotten', async () => {
  let called = false;
  const answer = await ask(
    withPrincipal(() => {
      called = true;
    }),
  );
  expect([answer.status, answer.headers.get('WWW-Authenticate'), called]).toEqual([401, 'Bearer', false]);
});
