import * as core from '@passage-auth/core';
import { expect, it } from 'vitest';
import * as fastify from './index.ts';

it('has the public names of core, and its own', () => {
  expect(fastify).toMatchObject(core);
  const own = Object.keys(fastify).filter((name) => !(name in core));
  expect(own.sort()).toEqual(['authenticate', 'default', 'passage', 'trackRoutes']);
});
