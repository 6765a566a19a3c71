import * as core from '@passage-auth/core';
import { expect, it } from 'vitest';
import * as hono from './index.ts';

it('has the public names of core, and its own', () => {
  expect(hono).toMatchObject(core);
  const own = Object.keys(hono).filter((name) => !(name in core));
  expect(own.sort()).toEqual(['passageAuth']);
});
