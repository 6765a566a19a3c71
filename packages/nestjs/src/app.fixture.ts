import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { startPassage, type TestPassage } from '@passage-auth/testing';
import supertest from 'supertest';
import { afterEach } from 'vitest';

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Starts a Passage server that ends with the test. */
export async function passageForTest(): Promise<TestPassage> {
  const passage = await startPassage();
  closing.push(() => passage.close());
  return passage;
}

/** Starts an app that ends with the test. */
export async function startApp(
  metadata: ModuleMetadata,
  prepare: (app: INestApplication) => unknown = () => undefined,
  override: (builder: TestingModuleBuilder) => TestingModuleBuilder = (builder) => builder,
) {
  const module = await override(Test.createTestingModule(metadata)).compile();
  const app = module.createNestApplication();
  await prepare(app);
  await app.listen(0, '127.0.0.1');
  closing.push(() => app.close());
  return { app, url: await app.getUrl(), http: supertest(app.getHttpServer()) };
}

/** Signs a new user in. */
export async function signIn(passage: TestPassage) {
  const user = await passage.createUser();
  const { token } = await passage.signIn(user);
  return { user, token, authorization: `Bearer ${token}` };
}
