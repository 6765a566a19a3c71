import * as core from '@passage-auth/core';
import { expect, it } from 'vitest';
import * as express from './index.ts';

it('has the public names of core, and its own', () => {
  expect(express).toMatchObject(core);
  const own = Object.keys(express).filter((name) => !(name in core));
  expect(own.sort()).toEqual(['passageAuth', 'passageErrors', 'withPrincipal']);
});
