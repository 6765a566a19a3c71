import { ApolloDriver } from '@nestjs/apollo';
import { type INestApplication, UseGuards } from '@nestjs/common';
import { Field, GraphQLModule, ObjectType, Query, Resolver, Subscription } from '@nestjs/graphql';
import { MercuriusDriver } from '@nestjs/mercurius';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import type { TestPassage } from '@passage-auth/testing';
import { createClient } from 'graphql-ws';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { passageForTest, signIn } from './app.fixture.ts';
import {
  CurrentUser,
  OptionalAuth,
  PassageGuard,
  PassageModule,
  type PassageUser,
  requirePrincipal,
  UserId,
} from './index.ts';

@ObjectType()
class Me {
  @Field(() => String)
  id!: string;

  @Field(() => String)
  email!: string;
}

@Resolver()
class AppResolver {
  @Query(() => Me)
  @UseGuards(PassageGuard)
  me(@CurrentUser() user: PassageUser) {
    return user;
  }

  @Query(() => String, { nullable: true })
  @UseGuards(PassageGuard)
  @OptionalAuth()
  anyone(@UserId() userId: string | undefined) {
    return userId;
  }

  @Subscription(() => String)
  @UseGuards(PassageGuard)
  async *news(@UserId() userId: string) {
    yield { news: `for ${userId}` };
  }

  @Query(() => String)
  forgotten() {
    return requirePrincipal({}).userId;
  }
}

const drivers = { Apollo: ApolloDriver, Mercurius: MercuriusDriver };

describe.each(Object.entries(drivers))('GraphQL by %s', (name, driver) => {
  let passage: TestPassage;
  let app: INestApplication;

  beforeEach(async () => {
    passage = await passageForTest();
    const options = { driver, autoSchemaFile: true, subscriptions: { 'graphql-ws': true } };
    const module = await Test.createTestingModule({
      imports: [
        PassageModule.forRoot({ ...passage.options, cookie: 'psg_auth_token' }),
        GraphQLModule.forRoot(options),
      ],
      providers: [AppResolver],
    }).compile();
    app = module.createNestApplication(name === 'Apollo' ? new ExpressAdapter() : new FastifyAdapter());
    app.useLogger(false);
    await app.listen(0, '127.0.0.1');
  });

  afterEach(() => app.close());

  async function ask(query: string, headers: Record<string, string> = {}) {
    const response = await fetch(`${await app.getUrl()}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ query: `{ ${query} }` }),
    });
    const { data, errors } = (await response.json()) as {
      data: unknown;
      errors?: { message: string; extensions?: { code: string; status: number } }[];
    };
    return { data, message: errors?.[0]?.message, code: errors?.[0]?.extensions?.code };
  }

  it('lets a signed-in user through', async () => {
    const { authorization, user } = await signIn(passage);
    const { data } = await ask('me { id email }', { authorization });
    expect(data).toEqual({ me: { id: user.id, email: user.email } });
  });

  it('refuses others, with the code of the error', async () => {
    expect(await ask('me { id }')).toEqual({
      data: null,
      message: 'Authentication is required',
      code: 'ERR_PASSAGE_UNAUTHENTICATED',
    });
    for (const bad of await passage.badTokens()) {
      expect(await ask('me { id }', { ...bad.headers })).toMatchObject({ code: 'ERR_PASSAGE_INVALID_TOKEN' });
    }
    const { authorization } = await signIn(passage);
    using _outage = passage.fault('api', 'unreachable');
    expect(await ask('me { id }', { authorization })).toMatchObject({ code: 'ERR_PASSAGE_UNAVAILABLE' });
  });

  it('takes the cookie from the same origin only', async () => {
    const { token, user } = await signIn(passage);
    const cookie = `psg_auth_token=${token}`;
    const same = await ask('me { id }', { cookie, 'sec-fetch-site': 'same-origin' });
    expect(same.data).toEqual({ me: { id: user.id } });
    const cross = await ask('me { id }', { cookie, 'sec-fetch-site': 'cross-site' });
    expect(cross.code).toBe('ERR_PASSAGE_INVALID_REQUEST');
  });

  it('may be optional', async () => {
    const { authorization, user } = await signIn(passage);
    expect((await ask('anyone')).data).toEqual({ anyone: null });
    expect((await ask('anyone', { authorization })).data).toEqual({ anyone: user.id });
    expect((await ask('anyone', { authorization: 'Bearer x' })).code).toBe('ERR_PASSAGE_INVALID_TOKEN');
  });

  if (name === 'Apollo')
    describe('subscriptions', () => {
      async function subscribe(
        headers: Record<string, string>,
        connectionParams: Record<string, unknown> = {},
      ) {
        class Connection extends WebSocket {
          constructor(url: string, protocols: string) {
            super(url, protocols, { headers });
          }
        }
        const url = `${(await app.getUrl()).replace('http', 'ws')}/graphql`;
        const client = createClient({ url, webSocketImpl: Connection, connectionParams, retryAttempts: 0 });
        const { value } = await client.iterate({ query: 'subscription { news }' }).next();
        await client.dispose();
        return { data: value?.data, code: value?.errors?.[0]?.extensions?.code };
      }

      it('are guarded by the parameters of the connection, which browsers can send, or its headers', async () => {
        const { authorization, user } = await signIn(passage);
        const data = { news: `for ${user.id}` };
        expect(await subscribe({}, { authorization })).toMatchObject({ data });
        expect(await subscribe({}, { Authorization: authorization })).toMatchObject({ data });
        expect(await subscribe({ authorization })).toMatchObject({ data });
        expect(await subscribe({})).toMatchObject({ code: 'ERR_PASSAGE_UNAUTHENTICATED' });
        expect(await subscribe({ authorization }, { authorization: 'Bearer x' })).toMatchObject({
          code: 'ERR_PASSAGE_INVALID_TOKEN',
        });
      });

      it('take the cookie from the same origin only, although connections are opened by GET', async () => {
        const { token, user } = await signIn(passage);
        const cookie = `psg_auth_token=${token}`;
        expect(await subscribe({ cookie, origin: await app.getUrl() })).toMatchObject({
          data: { news: `for ${user.id}` },
        });
        expect(await subscribe({ cookie, origin: 'https://evil.example' })).toMatchObject({
          code: 'ERR_PASSAGE_INVALID_REQUEST',
        });
      });
    });

  it('answers errors that resolvers throw', async () => {
    expect((await ask('forgotten')).code).toBe('ERR_PASSAGE_UNAUTHENTICATED');
  });
});
