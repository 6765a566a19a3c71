import fastify from 'fastify';
import { testAdapter } from '../../../tests/contract/contract.ts';
import { passage, requirePrincipal } from './index.ts';

testAdapter('Fastify 5', async ({ options, reached, log }) => {
  const app = fastify({ logger: { stream: log, level: 'trace' } });
  await app.register(passage, options);
  app.route({
    method: ['GET', 'POST'],
    url: '/me',
    handler: (request) => {
      reached();
      const { userId, user } = requirePrincipal(request);
      return Promise.resolve({ userId, email: user.email });
    },
  });
  app.all('/any-method', async (request) => {
    reached();
    return { userId: request.passage?.userId };
  });
  app.get('/anyone', { config: { passage: { optional: true } } }, async (request) => ({
    userId: request.passage?.userId ?? null,
  }));
  app.get('/forgotten', { config: { passage: false } }, async (request) => ({
    userId: requirePrincipal(request).userId,
  }));
  const origin = await app.listen({ port: 0, host: '127.0.0.1' });
  return { origin, close: () => app.close() };
});
