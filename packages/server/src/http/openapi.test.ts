import { expect, it } from 'vitest';
import { TestServer } from '../../test/server.ts';
import { managementRoutes } from '../management/management.ts';
import { authRoutes } from '../router.ts';

const memory = async () => ({ location: ':memory:', drop: async () => {} });

it('describes every route, and refers to nothing that is not there', async () => {
  await using server = await TestServer.start(memory);
  const { body, status } = await server.call('GET', '/api/v1/openapi.json');
  expect(status).toBe(200);
  expect(body.openapi).toBe('3.1.0');
  for (const [prefix, routes] of [
    ['/auth/v1', authRoutes],
    ['/api/v1', managementRoutes],
  ] as const) {
    for (const { method, path } of routes) {
      const operation = body.paths[`${prefix}/apps/{app_id}${path}`][method.toLowerCase()];
      expect(operation.responses['404']).toBeDefined();
      expect(operation.parameters[0]).toMatchObject({ name: 'app_id', in: 'path' });
    }
  }
  const ids = Object.values<Record<string, { operationId: string }>>(body.paths).flatMap((path) =>
    Object.values(path).map(({ operationId }) => operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
  const references = [...JSON.stringify(body).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
  expect(references.length).toBeGreaterThan(20);
  for (const [, name = ''] of references) expect(body.components.schemas).toHaveProperty(name);
});

it('says what a request needs', async () => {
  await using server = await TestServer.start(memory);
  const { body } = await server.call('GET', '/api/v1/openapi.json');
  const create = body.paths['/api/v1/apps/{app_id}/magic-links'].post;
  expect(create.security).toEqual([{ apiKey: [] }]);
  expect(create.requestBody.content['application/json'].schema.properties.ttl).toMatchObject({
    type: 'integer',
    minimum: 1,
  });
  expect(create.responses['201'].content['application/json'].schema.properties.magic_link).toEqual({
    $ref: '#/components/schemas/MagicLink',
  });
});
