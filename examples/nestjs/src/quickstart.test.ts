import { NestFactory } from '@nestjs/core';
import { startPassage } from '@passage-auth/testing';
import supertest from 'supertest';
import { expect, it } from 'vitest';
import { AppModule } from './quickstart.ts';

it('takes its options from the environment', async () => {
  await using passage = await startPassage({ port: 0 });
  Object.assign(process.env, passage.env);
  const nest = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
  await nest.init();
  const app = supertest(nest.getHttpServer());
  const { headers, userId } = await passage.signIn('ada@example.com');
  const { body } = await app.get('/me').set(headers).expect(200);
  expect(body).toMatchObject({ id: userId, email: 'ada@example.com' });
  await app.get('/me').expect(401).expect('WWW-Authenticate', 'Bearer');
  await nest.close();
});
