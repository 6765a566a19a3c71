// A CommonJS half of a program whose other half, kinds.mts, is made of ES modules.
import core = require('@passage-auth/core');
import expressAdapter = require('@passage-auth/express');
import fastifyAdapter = require('@passage-auth/fastify');
import honoAdapter = require('@passage-auth/hono');
import nest = require('@passage-auth/nestjs');
import testing = require('@passage-auth/testing');

export const client = new core.Passage();
export const middleware = expressAdapter.passageAuth({ passage: client });
export const plugin = fastifyAdapter.passage;
export const honoMiddleware = honoAdapter.passageAuth({ passage: client });
export const nestModule = nest.PassageModule.forRoot({ passage: client });
export const start: () => Promise<testing.TestPassage> = testing.startPassage;

export function nameOf(principal: core.Principal): string {
  return principal.user.email;
}

export async function countUsers(passage: core.Passage): Promise<number> {
  let count = 0;
  for await (const _user of passage.user.list()) count += 1;
  return count;
}

export function refuse(error: core.PassageError): number {
  return error.status;
}
