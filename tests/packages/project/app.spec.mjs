import { passageAuth, passageErrors, withPrincipal } from '@passage-auth/express';
import { startPassage } from '@passage-auth/testing';
import express from 'express';
import request from 'supertest';

let passage;
let app;

beforeAll(async () => {
  passage = await startPassage();
  app = express();
  app.use(passageAuth(passage.options));
  app.get(
    '/me',
    withPrincipal((req, res) => res.json({ userId: req.passage.userId })),
  );
  app.use(passageErrors());
});

afterAll(() => passage.close());

it('knows its users', async () => {
  const user = await passage.createUser();
  const { headers } = await passage.signIn(user);
  const { body } = await request(app).get('/me').set(headers).expect(200);
  expect(body).toEqual({ userId: user.id });
});

it('refuses all others', async () => {
  await request(app).get('/me').expect(401).expect('WWW-Authenticate', 'Bearer');
  for (const { headers, status } of await passage.badTokens()) {
    await request(app).get('/me').set(headers).expect(status);
  }
});
