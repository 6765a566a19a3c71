import fastify, { type FastifyInstance, type RawServerBase } from 'fastify';
import { type RunningApp, type Setup, testAdapter } from '../../../tests/contract/contract.ts';
import { passage, requirePrincipal } from './index.ts';

const logger = (stream: Setup['log']) => ({ stream, level: 'trace' });

testAdapter('Fastify 5', async (setup) => start(fastify({ logger: logger(setup.log) }), setup));

testAdapter(
  'Fastify 5 over HTTP/2',
  async (setup) => start(fastify({ http2: true, logger: logger(setup.log) }), setup),
  { http2: true },
);

async function start<Server extends RawServerBase>(
  app: FastifyInstance<Server>,
  { options, reached }: Setup,
): Promise<RunningApp> {
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
  app.all('/answers-preflights', async () => ({}));
  app.get('/anyone', { config: { passage: { optional: true } } }, async (request) => ({
    userId: request.passage?.userId ?? null,
  }));
  app.get('/forgotten', { config: { passage: false } }, async (request) => ({
    userId: requirePrincipal(request).userId,
  }));
  const origin = await app.listen({ port: 0, host: '127.0.0.1' });
  return { origin, close: () => app.close() };
}
