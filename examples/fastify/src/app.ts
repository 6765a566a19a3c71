import { type PassageOptions, passage, requirePrincipal } from '@passage-auth/fastify';
import fastify, { type FastifyInstance } from 'fastify';

const email = { type: 'string', pattern: '^[^@\\s]+@[^@\\s]+$' };
const invitation = { body: { type: 'object', required: ['email'], properties: { email } } };

/** @param options Those left out are read from the environment. */
export async function createApp(options: PassageOptions = {}): Promise<FastifyInstance> {
  const app = fastify();
  await app.register(passage, options);

  app.get('/', { config: { passage: false } }, async () => ({ message: 'Anyone may read this' }));

  app.get('/me', { config: { passage: { loadUser: true } } }, async (request) => {
    const { userId, user } = requirePrincipal(request);
    return { userId, user };
  });

  app.get('/protected', { config: { passage: { loadUser: false } } }, async (request) => ({
    userId: requirePrincipal(request).userId,
  }));

  app.get('/anyone', { config: { passage: { optional: true } } }, async (request) => ({
    userId: request.passage?.userId ?? null,
  }));

  app.post<{ Body: { email: string } }>('/invite', { schema: invitation }, async ({ body }, reply) => {
    await app.passage.auth.createMagicLink({ email: body.email, type: 'login', send: true });
    return reply.code(201).send({ email: body.email });
  });

  await app.register(child, { prefix: '/child' });
  return app;
}

/** A scope below: what protects the app protects it, too. */
async function child(scope: FastifyInstance) {
  scope.get('/protected', { config: { passage: { loadUser: false } } }, async (request) => ({
    userId: requirePrincipal(request).userId,
  }));
}
