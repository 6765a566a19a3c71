import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { authRoutes, managementRoutes } from './router.ts';

it('lists every route in the README', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, auth = '', management = ''] = readme.split(/^(?:Auth|Management) API, below/m);
  const listed = (text: string) =>
    [...text.matchAll(/^\| `([A-Z]+ \/\S*)` \|/gm)].map(([, route]) => route).sort();
  const known = (routes: typeof authRoutes) =>
    routes.map(({ method, path }) => `${method} ${path || '/'}`).sort();
  expect(listed(auth)).toEqual(known(authRoutes));
  expect(listed(management)).toEqual(known(managementRoutes));
});
