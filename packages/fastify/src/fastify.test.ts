import fastifyAuth from '@fastify/auth';
import fastifyCors from '@fastify/cors';
import { startPassage, type TestPassage } from '@passage-auth/testing';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import byDefault, {
  authenticate,
  Passage,
  passage as plugin,
  requirePrincipal,
  trackRoutes,
} from './index.ts';

let passage: TestPassage;
let app: FastifyInstance;
let headers: { authorization: string };
let userId: string;

beforeEach(async () => {
  passage = await startPassage();
  app = fastify();
  ({ headers, userId } = await passage.signIn('ada@example.com'));
});

afterEach(async () => {
  await app.close();
  await passage.close();
});

const whoami = async (request: FastifyRequest) => ({ userId: request.passage?.userId ?? null });

async function statusOf(url: string, options: { method?: 'GET' | 'HEAD'; headers?: object } = {}) {
  return (await app.inject({ url, ...options } as { url: string })).statusCode;
}

/** Expects that a path is closed, and that it is there. */
async function expectProtected(url: string) {
  const refused = await app.inject(url);
  expect([url, refused.statusCode, refused.headers['www-authenticate']]).toEqual([url, 401, 'Bearer']);
  expect((await app.inject({ url, headers })).json()).toEqual({ userId });
}

describe('the order of registration', () => {
  it('does not matter for routes of the same scope', async () => {
    app.get('/before', whoami);
    app.register(plugin, passage.options);
    app.get('/after', whoami);
    await expectProtected('/before');
    await expectProtected('/after');
  });

  it('does not matter for scopes below, however deep, that were loaded before', async () => {
    await app.register(async (scope) => {
      scope.get('/child', whoami);
      await scope.register(async (deep) => {
        deep.get('/grandchild', whoami);
      });
    });
    await app.register(plugin, passage.options);
    await expectProtected('/child');
    await expectProtected('/grandchild');
  });

  it('does not matter for 404 handlers', async () => {
    app.setNotFoundHandler((_request, reply) => reply.code(404).send({}));
    await app.register(plugin, passage.options);
    expect(await statusOf('/nowhere')).toBe(401);
    expect(await statusOf('/nowhere', { headers })).toBe(404);
  });

  it('is refused once the app is ready, when it would protect nothing', async () => {
    app.get('/', whoami);
    await app.ready();
    await expect(async () => app.register(plugin, passage.options)).rejects.toThrow();
  });

  it('does not let a route run its own hooks first', async () => {
    let ran = false;
    app.get(
      '/',
      {
        onRequest: async () => {
          ran = true;
        },
      },
      whoami,
    );
    await app.register(plugin, passage.options);
    expect(await statusOf('/')).toBe(401);
    expect(ran).toBe(false);
  });
});

describe('a scope', () => {
  it('leaves what is beside and above it alone', async () => {
    await app.register(async (scope) => {
      await scope.register(plugin, passage.options);
      scope.get('/inside', whoami);
    });
    await app.register(async (scope) => {
      scope.get('/beside', async (request) => ({ passage: 'passage' in request, client: !!scope.passage }));
    });
    app.get('/above', async () => ({}));
    await expectProtected('/inside');
    expect((await app.inject('/beside')).json()).toEqual({ passage: false, client: false });
    expect(await statusOf('/above')).toBe(200);
    expect(await statusOf('/nowhere')).toBe(404);
  });

  it('takes tokens of its own app only, beside a scope of another app', async () => {
    await using other = await startPassage();
    const session = await other.signIn('grace@example.com');
    for (const [prefix, { options }] of Object.entries({ '/one': passage, '/two': other })) {
      await app.register(
        async (scope) => {
          await scope.register(plugin, options);
          scope.get('/me', whoami);
          scope.get('/app', { config: { passage: false } }, async () => ({ appId: scope.passage.appId }));
        },
        { prefix },
      );
    }
    expect((await app.inject({ url: '/one/me', headers })).json()).toEqual({ userId });
    expect(await statusOf('/two/me', { headers })).toBe(401);
    expect(await statusOf('/one/me', { headers: session.headers })).toBe(401);
    expect((await app.inject({ url: '/two/me', headers: session.headers })).json()).toEqual({
      userId: session.userId,
    });
    expect((await app.inject('/one/app')).json()).toEqual({ appId: passage.options.appId });
    expect((await app.inject('/two/app')).json()).toEqual({ appId: other.options.appId });
  });

  it('goes by the nearest app inside of another one, whichever came first', async () => {
    await using inner = await startPassage();
    const session = await inner.signIn('grace@example.com');
    const nested = (path: string) => async (scope: FastifyInstance) => {
      await scope.register(plugin, inner.options);
      scope.get(path, whoami);
    };
    await app.register(nested('/first'));
    await app.register(plugin, passage.options);
    await app.register(nested('/second'));
    for (const path of ['/first', '/second']) {
      expect(await statusOf(path)).toBe(401);
      expect(await statusOf(path, { headers })).toBe(401);
      expect((await app.inject({ url: path, headers: session.headers })).json()).toEqual({
        userId: session.userId,
      });
    }
  });

  it('has one app', async () => {
    await app.register(plugin, passage.options);
    await expect(async () => app.register(plugin, passage.options)).rejects.toMatchObject({
      code: 'FST_ERR_DEC_ALREADY_PRESENT',
    });
  });
});

describe('a route', () => {
  it('is guarded for HEAD as for GET', async () => {
    await app.register(plugin, passage.options);
    app.get('/me', whoami);
    app.get('/open', { config: { passage: false } }, async () => ({}));
    expect(await statusOf('/me', { method: 'HEAD' })).toBe(401);
    expect(await statusOf('/me', { method: 'HEAD', headers })).toBe(200);
    expect(await statusOf('/open', { method: 'HEAD' })).toBe(200);
  });

  it('says by its config how it differs', async () => {
    await app.register(plugin, { ...passage.options, optional: true });
    app.get('/claims', { config: { passage: { optional: false, loadUser: false } } }, whoami);
    app.get('/anyone', whoami);
    app.get('/open', { config: { passage: false } }, whoami);
    await expectProtected('/claims');
    expect(passage.requests.api).toBe(0);
    expect((await app.inject('/anyone')).json()).toEqual({ userId: null });
    const bad = { authorization: 'Bearer x' };
    expect(await statusOf('/anyone', { headers: bad })).toBe(401);
    expect((await app.inject({ url: '/open', headers: bad })).json()).toEqual({ userId: null });
  });

  it('is refused before its body is read', async () => {
    await app.register(plugin, passage.options);
    app.post('/', whoami);
    const malformed = {
      method: 'POST',
      url: '/',
      payload: '{',
      headers: { 'content-type': 'application/json' },
    };
    expect((await app.inject(malformed as { url: string })).statusCode).toBe(401);
  });
});

describe('options', () => {
  it('are refused at start when they cannot be meant', async () => {
    await expect(async () => app.register(plugin, { ...passage.options, timeout: -1 })).rejects.toThrow(
      '"timeout"',
    );
  });

  it('may be a client that is there already', async () => {
    const client = new Passage(passage.options);
    await app.register(byDefault, { passage: client });
    expect(app.passage).toBe(client);
  });
});

describe('authenticate', () => {
  const withKey = async ({ headers }: FastifyRequest) => {
    if (headers['x-api-key'] !== 'secret') throw new Error('No such key');
  };

  it('is one way among others with @fastify/auth', async () => {
    await app.register(fastifyAuth);
    await app.register(plugin, passage.options);
    const either = { config: { passage: false as const }, onRequest: app.auth([withKey, authenticate]) };
    app.get('/', either, whoami);
    await expectProtected('/');
    expect((await app.inject({ url: '/', headers: { 'x-api-key': 'secret' } })).json()).toEqual({
      userId: null,
    });
    expect(await statusOf('/', { headers: { 'x-api-key': 'wrong' } })).toBe(401);
  });

  it('says where the plugin is missing', async () => {
    app.get('/', { onRequest: authenticate }, (request) => requirePrincipal(request).user);
    const response = await app.inject({ url: '/', headers });
    expect(response.statusCode).toBe(500);
    expect(response.json().message).toBe(
      'The "@passage-auth/fastify" plugin is not registered in this scope',
    );
  });
});

describe('@fastify/cors', () => {
  it.each(['before', 'after'])('answers preflights, and marks refusals, registered %s', async (order) => {
    if (order === 'before') await app.register(fastifyCors, { origin: 'https://app.example' });
    await app.register(plugin, passage.options);
    if (order === 'after') await app.register(fastifyCors, { origin: 'https://app.example' });
    app.get('/me', whoami);
    const origin = 'https://app.example';
    const preflight = { origin, 'access-control-request-method': 'GET' };
    const allowed = await app.inject({ method: 'OPTIONS', url: '/me', headers: preflight });
    expect([allowed.statusCode, allowed.headers['access-control-allow-origin']]).toEqual([204, origin]);
    const refused = await app.inject({ url: '/me', headers: { origin } });
    expect(refused.statusCode).toBe(401);
    // Fastify runs hooks in the order of registration: a page can only read a refusal when CORS comes first.
    expect(refused.headers['access-control-allow-origin']).toBe(order === 'before' ? origin : undefined);
  });
});

describe('authorize', () => {
  it('of the scope and of the route must both allow', async () => {
    await app.register(plugin, { ...passage.options, authorize: (principal) => principal.userId === userId });
    app.get('/scope', whoami);
    app.get('/both', { config: { passage: { authorize: async () => true } } }, whoami);
    app.get('/neither', { config: { passage: { authorize: () => false, optional: true } } }, whoami);
    app.get('/open', { config: { passage: false } }, whoami);
    const { headers: others } = await passage.signIn('grace@example.com');
    expect(await statusOf('/scope', { headers })).toBe(200);
    expect(await statusOf('/both', { headers })).toBe(200);
    expect(await statusOf('/both', { headers: others })).toBe(403);
    expect(await statusOf('/neither', { headers })).toBe(403);
    expect(await statusOf('/neither')).toBe(401);
    expect(await statusOf('/open')).toBe(200);
  });

  it('of a route alone is asked, also by `authenticate` in a hook of the app', async () => {
    await app.register(plugin, passage.options);
    const config = { passage: { authorize: () => false } };
    app.get('/route', { config }, whoami);
    app.get('/hook', { config: { passage: false }, preHandler: authenticate }, whoami);
    expect(await statusOf('/route', { headers })).toBe(403);
    expect(await statusOf('/hook', { headers })).toBe(200);
    expect(await statusOf('/hook')).toBe(401);
  });

  it('is refused where it is no function', async () => {
    await app.register(plugin, passage.options);
    const config = { passage: { authorize: 'admin' as never } };
    expect(() => app.get('/', { config }, whoami)).toThrow('"authorize" option must be a function');
  });
});

it('has types for every kind of server', async () => {
  const http2 = fastify({ http2: true });
  const secure = fastify({ http2: true, https: {} });
  const https = fastify({ https: {} });
  await http2.register(plugin, passage.options);
  http2.get('/', { onRequest: authenticate, config: { passage: false } }, async (request) => {
    return { userId: requirePrincipal(request).userId };
  });
  await https.register(plugin, passage.options);
  https.get('/', { preHandler: [authenticate] }, async (request) => request.passage?.userId);
  expect((await http2.inject({ url: '/', headers })).json()).toEqual({ userId });
  expect((await https.inject({ url: '/' })).statusCode).toBe(401);
  await secure.register(plugin, passage.options);
  secure.get('/', { onRequest: authenticate }, async () => ({}));
  expect((await secure.inject({ url: '/' })).statusCode).toBe(401);
  for (const kind of [http2, secure, https]) await kind.close();
});

describe('trackRoutes', () => {
  it('lists the routes of all scopes with who may call them', async () => {
    const listRoutes = trackRoutes(app);
    app.get('/before', whoami);
    app.register(async (scope) => {
      scope.register(plugin, { ...passage.options, optional: true });
      scope.get('/optional', whoami);
      scope.post('/protected', { config: { passage: { optional: false } } }, whoami);
      scope.get('/authorized', { config: { passage: { authorize: () => true } } }, whoami);
      scope.get('/open', { config: { passage: false } }, whoami);
    });
    app.register(async (scope) => {
      scope.route({ method: ['PUT', 'DELETE'], url: '/below', handler: whoami });
      scope.register(plugin, passage.options);
    });
    await app.ready();
    expect(listRoutes().filter(({ method }) => method !== 'HEAD')).toEqual([
      { method: 'GET', url: '/authorized', access: 'protected' },
      { method: 'GET', url: '/before', access: 'public' },
      { method: 'DELETE', url: '/below', access: 'protected' },
      { method: 'PUT', url: '/below', access: 'protected' },
      { method: 'GET', url: '/open', access: 'public' },
      { method: 'GET', url: '/optional', access: 'optional' },
      { method: 'POST', url: '/protected', access: 'protected' },
    ]);
    expect(listRoutes().filter(({ method }) => method === 'HEAD')).toHaveLength(4);
  });

  it('is refused where it would miss routes', () => {
    app.get('/', whoami);
    expect(() => trackRoutes(app)).toThrow(/before the first route/);
  });
});
