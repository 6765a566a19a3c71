import { z } from 'zod';
import type { Route } from './routes.ts';

type Json = Record<string, unknown>;

const reasons: Record<number, string> = {
  400: 'The request is malformed',
  401: 'Credentials are missing or invalid',
  403: 'Not allowed',
  404: 'Not found',
  409: 'Not possible in the current state',
  429: 'Too many requests; see `Retry-After`',
  500: 'The server failed',
};

const security: Record<Route['access'], Json[]> = {
  public: [],
  user: [{ user: [] }],
  key: [{ apiKey: [] }],
  'optional key': [{}, { apiKey: [] }],
};

/** Builds the OpenAPI 3.1 document of both APIs from the schemas that validate requests and type answers. */
export function openApiDocument(baseUrl: string, auth: readonly Route[], management: readonly Route[]): Json {
  const schemas: Json = {
    Error: {
      type: 'object',
      properties: { code: { type: 'string' }, error: { type: 'string' } },
      required: ['code', 'error'],
    },
  };
  const paths: Record<string, Json> = {};
  const add = (routes: readonly Route[], prefix: string, tag: string) => {
    for (const one of routes) {
      const path = `${prefix}/apps/{app_id}${one.path}`;
      paths[path] = { ...paths[path], [one.method.toLowerCase()]: operation(one, path, tag, schemas) };
    }
  };
  add(auth, '/auth/v1', 'Auth API');
  add(management, '/api/v1', 'Management API');
  return {
    openapi: '3.1.0',
    info: { title: 'Passage Auth', version: '1.0.0', license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: baseUrl }],
    tags: [
      { name: 'Auth API', description: 'For browsers and mobile apps' },
      { name: 'Management API', description: 'For back ends, with an API key' },
    ],
    paths,
    components: {
      schemas,
      securitySchemes: {
        user: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'Access token of a user' },
        apiKey: { type: 'http', scheme: 'bearer', description: 'API key of the app' },
      },
    },
  };
}

function operation(one: Route, path: string, tag: string, schemas: Json): Json {
  const status = one.status ?? 200;
  return {
    tags: [tag],
    summary: one.summary,
    operationId: `${tag === 'Auth API' ? 'auth' : 'manage'} ${one.method} ${one.path}`.replace(
      /\W+(\w?)/g,
      (_, letter) => letter.toUpperCase(),
    ),
    security: security[one.access],
    parameters: [...pathParameters(path), ...queryParameters(one, schemas)],
    ...(one.body && { requestBody: { content: json(schemaOf(one.body, schemas, 'input')) } }),
    responses: {
      ...(!one.absent && {
        [status]: {
          description: 'Done',
          ...(one.answer && { content: json(schemaOf(one.answer, schemas, 'output')) }),
        },
      }),
      ...Object.fromEntries(
        [...new Set([...(one.errors ?? []), 404, 500])].map((code) => [
          code,
          { description: reasons[code] ?? 'Refused', content: json({ $ref: '#/components/schemas/Error' }) },
        ]),
      ),
    },
  };
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters({ query }: Route, schemas: Json): Json[] {
  if (!query) return [];
  const { properties = {}, required = [] } = schemaOf(query, schemas, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

/** Returns a schema. Named ones go into `schemas` and are referenced. */
function schemaOf(schema: z.ZodType, schemas: Json, io: 'input' | 'output'): Json {
  const whole = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  const text = JSON.stringify(whole).replaceAll('#/$defs/', '#/components/schemas/');
  const { $defs = {}, $schema: _, ...inline } = JSON.parse(text) as Json & { $defs?: Record<string, Json> };
  for (const [name, { id: __, ...definition }] of Object.entries($defs)) schemas[name] = definition;
  return inline;
}

function json(schema: Json): Json {
  return { 'application/json': { schema } };
}
