import { passage, requirePrincipal } from '@passage-auth/fastify';
import fastify from 'fastify';

export const app = fastify();
await app.register(passage);
app.get('/me', async (request) => requirePrincipal(request).user);
