import { startPassage, type TestPassage } from '@passage-auth/testing';
import supertest from 'supertest';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createApp } from './app.ts';

let passage: TestPassage;
let app: ReturnType<typeof supertest>;

beforeEach(async () => {
  passage = await startPassage();
  app = supertest(createApp(passage.options));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await passage.close();
});

it('shows users who they are', async () => {
  const { headers, userId } = await passage.signIn('ada@example.com');
  const { body } = await app.get('/me').set(headers).expect(200);
  expect(body).toMatchObject({ userId, user: { email: 'ada@example.com', status: 'active' } });
});

it('refuses every bad token, on every route', async () => {
  for (const path of ['/me', '/protected', '/child/protected', '/anyone']) {
    for (const { name, headers, status, code } of await passage.badTokens()) {
      const response = await app.get(path).set(headers);
      expect({ path, name, status: response.status, code: response.body.code }).toEqual({
        path,
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
  await app
    .get('/me')
    .set(headers)
    .expect(401, /The token has expired/);
});

it('refuses a user who was deactivated', async () => {
  const user = await passage.createUser();
  const { headers } = await passage.signIn(user);
  await passage.admin.user.deactivate(user.id);
  await app.get('/me').set(headers).expect(403);
});

it('says that it cannot tell while Passage is down', async () => {
  const { headers } = await passage.signIn('ada@example.com');
  using _outage = passage.fault('jwks', 'unreachable');
  await app.get('/me').set(headers).expect(503).expect('Retry-After', /\d/);
});

it('sends an invitation', async () => {
  const { headers } = await passage.signIn('ada@example.com');
  await app.post('/invite').set(headers).send({ email: 'grace@example.com' }).expect(201);
  expect(passage.outbox.at(-1)).toMatchObject({ to: 'grace@example.com', kind: 'magic_link' });
});

it('leads to the public address of a server that it reaches by another one', async () => {
  vi.stubEnv('PASSAGE_BASE_URL', 'http://passage:3000/passage');
  vi.stubEnv('PASSAGE_ISSUER', 'https://www.example.com/passage/auth/v1/apps/my-app');
  const { text } = await app.get('/').expect(200);
  expect(text).toContain('https://www.example.com/passage/login?');
  expect(text).not.toContain('http://passage:3000');
});
