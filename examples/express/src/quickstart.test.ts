import { startPassage } from '@passage-auth/testing';
import supertest from 'supertest';
import { expect, it } from 'vitest';

it('takes its options from the environment', async () => {
  await using passage = await startPassage({ port: 0 });
  Object.assign(process.env, passage.env);
  const { app } = await import('./quickstart.ts');
  const { headers, userId } = await passage.signIn('ada@example.com');
  const { body } = await supertest(app).get('/me').set(headers).expect(200);
  expect(body).toMatchObject({ id: userId, email: 'ada@example.com' });
  await supertest(app).get('/me').expect(401).expect('WWW-Authenticate', 'Bearer');
});
