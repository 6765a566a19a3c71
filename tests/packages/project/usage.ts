import { Controller, Get, Module } from '@nestjs/common';
import { Passage as Core, type PassageUser, type PassageUserSummary } from '@passage-auth/core';
import { passageAuth as expressAuth, passageErrors, withPrincipal } from '@passage-auth/express';
import { passage as plugin, requirePrincipal } from '@passage-auth/fastify';
import { passageAuth as honoAuth } from '@passage-auth/hono';
import { CurrentUser, OptionalAuth, type Passage, PassageModule, Public, UserId } from '@passage-auth/nestjs';
import { createPassageServer, type PassageServer } from '@passage-auth/server';
import { startPassage } from '@passage-auth/testing';
import express from 'express';
import { fastify } from 'fastify';
import { Hono } from 'hono';

// With exactOptionalPropertyTypes: what the environment may lack can be passed on.
const options = { appId: process.env.APP_ID, apiKey: process.env.API_KEY, cookie: undefined };

export const client: Core = new Core(options);

export const expressApp = express();
expressApp.use(expressAuth(options));
expressApp.get(
  '/me',
  withPrincipal((req, res) => res.json(req.passage.user)),
);
expressApp.get('/anyone', expressAuth({ passage: client, optional: true }), (req, res) => {
  res.json(req.passage?.userId ?? null);
});
// @ts-expect-error The caller may be missing where no guard gives it.
expressApp.get('/forgotten', (req, res) => res.json(req.passage.userId));
expressApp.use(passageErrors());

export const fastifyApp = fastify();
fastifyApp.register(plugin, options);
fastifyApp.get('/me', { config: { passage: { optional: true } } }, async (request) => ({
  userId: request.passage?.userId,
  email: requirePrincipal(request).user.email,
}));

export const honoApp = new Hono();
honoApp.use(honoAuth(options));
honoApp.get('/me', (c) => c.json(c.var.passage?.userId ?? null));

@Controller()
export class AppController {
  constructor(readonly passage: Passage) {}

  @Get('me')
  me(@CurrentUser() user: PassageUser, @UserId() userId: string) {
    return { user, userId };
  }

  @Public()
  @Get('public')
  open() {
    return null;
  }

  @OptionalAuth()
  @Get('anyone')
  anyone(@UserId() userId: string | undefined) {
    return { userId };
  }
}

@Module({
  imports: [
    PassageModule.forRoot({ ...options, global: true }),
    PassageModule.forRootAsync({ useFactory: () => options }),
  ],
  controllers: [AppController],
})
export class AppModule {}

export async function usersOf(): Promise<PassageUserSummary[]> {
  const users: PassageUserSummary[] = [];
  for await (const user of client.user.list({ status: 'active' })) users.push(user);
  return users;
}

export async function serve(): Promise<PassageServer> {
  const testing = await startPassage();
  new Core(testing.options);
  return createPassageServer({ baseUrl: testing.env.PASSAGE_BASE_URL, secret: 'x' });
}
