import * as core from '@passage-auth/core';
import { expect, it } from 'vitest';
import * as nestjs from './index.ts';

it('has the public names of core, and its own', () => {
  expect(nestjs).toMatchObject(core);
  const own = Object.keys(nestjs).filter((name) => !(name in core));
  expect(own.sort()).toEqual([
    'Authorize',
    'CurrentPrincipal',
    'CurrentUser',
    'OptionalAuth',
    'PassageException',
    'PassageGuard',
    'PassageModule',
    'Public',
    'UserId',
    'listRoutes',
  ]);
});
