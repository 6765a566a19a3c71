import { startPassage, type TestPassage } from '@passage-auth/testing';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createApp } from './app.ts';

let passage: TestPassage;
let app: FastifyInstance;

beforeEach(async () => {
  passage = await startPassage();
  app = await createApp(passage.options);
});

afterEach(async () => {
  await app.close();
  await passage.close();
});

it('shows users who they are', async () => {
  const { headers, userId } = await passage.signIn('ada@example.com');
  const response = await app.inject({ url: '/me', headers });
  expect(response.json()).toMatchObject({ userId, user: { email: 'ada@example.com', status: 'active' } });
});

it('refuses every bad token, on every route', async () => {
  for (const url of ['/me', '/protected', '/child/protected', '/anyone']) {
    for (const { name, headers, status, code } of await passage.badTokens()) {
      const response = await app.inject({ url, headers });
      expect({ url, name, status: response.statusCode, code: response.json().code }).toEqual({
        url,
        name,
        status,
        code,
      });
    }
  }
});

it('refuses a session that has expired', async () => {
  const { headers } = await passage.signIn('ada@example.com');
  passage.advance('16m');
  const response = await app.inject({ url: '/me', headers });
  expect(response.statusCode).toBe(401);
  expect(response.json().message).toBe('The token has expired');
});

it('refuses a user who was deactivated', async () => {
  const user = await passage.createUser();
  const { headers } = await passage.signIn(user);
  await passage.admin.user.deactivate(user.id);
  expect(await app.inject({ url: '/me', headers })).toMatchObject({ statusCode: 403 });
});

it('says that it cannot tell while Passage is down', async () => {
  const { headers } = await passage.signIn('ada@example.com');
  using _outage = passage.fault('jwks', 'unreachable');
  const response = await app.inject({ url: '/me', headers });
  expect(response.statusCode).toBe(503);
  expect(response.headers).toHaveProperty('retry-after');
});

it('sends an invitation', async () => {
  const { headers } = await passage.signIn('ada@example.com');
  const body = { email: 'grace@example.com' };
  const response = await app.inject({ method: 'POST', url: '/invite', headers, body });
  expect(response.statusCode).toBe(201);
  expect(passage.outbox.at(-1)).toMatchObject({ to: 'grace@example.com', kind: 'magic_link' });
});
