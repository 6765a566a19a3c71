import { expect, it } from 'vitest';
import { within } from './awaitable.ts';

// On Workers, waiting for the work of another request may reject although the work itself never does.
it('takes work that rejects for who waits as work that is gone', async () => {
  expect(await within(60_000, Promise.reject(new Error('The request is gone')))).toBeUndefined();
  expect(await within(60_000, Promise.resolve('done'))).toBe('done');
  expect(await within(1, new Promise(() => {}))).toBeUndefined();
});
