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

it.each([
  ['Auth API', authRoutes],
  ['Management API', managementRoutes],
])('describes every route of the %s in docs/protocol.md', (api, routes) => {
  const page = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');
  const section = page.split(/^## \d+ /m).find((part) => part.startsWith(`${api}\n`)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  const described = rows.flatMap((row) => {
    const status = /^\|[^|]*\|[^|]*\| \**(2\d\d)\b/.exec(row)?.[1];
    return [...row.matchAll(/`([A-Z]+ \/[^`]*)`/g)].map(([, route]) => ({ route, status }));
  });
  const statuses = new Map(
    routes.map(({ method, path, status = 200 }) => [`${method} ${path || '/'}`, `${status}`]),
  );
  expect(described.map(({ route }) => route).sort()).toEqual([...statuses.keys()].sort());
  // Routes that only refuse have no status of success.
  const wrong = described.filter(({ route, status }) => status && status !== statuses.get(route ?? ''));
  expect(wrong).toEqual([]);
});
