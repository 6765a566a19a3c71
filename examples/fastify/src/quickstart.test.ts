import { startPassage } from '@passage-auth/testing';
import { expect, it } from 'vitest';

it('takes its options from the environment', async () => {
  await using passage = await startPassage({ port: 0 });
  Object.assign(process.env, passage.env);
  const { app } = await import('./quickstart.ts');
  const { headers, userId } = await passage.signIn('ada@example.com');
  const answer = await app.inject({ url: '/me', headers });
  expect(answer.json()).toMatchObject({ id: userId, email: 'ada@example.com' });
  const refused = await app.inject('/me');
  expect([refused.statusCode, refused.headers['www-authenticate']]).toEqual([401, 'Bearer']);
});
