import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { Controller, type INestApplication, UseGuards } from '@nestjs/common';
import {
  ClientProxyFactory,
  type ClientTCP,
  MessagePattern,
  type MicroserviceOptions,
  Transport,
} from '@nestjs/microservices';
import type { TestPassage } from '@passage-auth/testing';
import { lastValueFrom } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { passageForTest, signIn, startApp } from './app.fixture.ts';
import {
  CurrentUser,
  OptionalAuth,
  Passage,
  PassageGuard,
  PassageModule,
  type PassageUser,
  requirePrincipal,
  UserId,
} from './index.ts';

@Controller()
class MessageController {
  @MessagePattern('me')
  @UseGuards(PassageGuard)
  me(@CurrentUser() { id, email }: PassageUser) {
    return { id, email };
  }

  @MessagePattern('anyone')
  @UseGuards(PassageGuard)
  @OptionalAuth()
  anyone(@UserId() userId: string | undefined) {
    return { userId: userId ?? null };
  }

  @MessagePattern('forgotten')
  forgotten() {
    return requirePrincipal({});
  }
}

describe('microservices', () => {
  let passage: TestPassage;
  let client: ClientTCP;

  async function connect(app: INestApplication, inheritAppConfig: boolean): Promise<void> {
    const port = await freePort();
    const options = { port, host: '127.0.0.1' };
    app.connectMicroservice<MicroserviceOptions>({ transport: Transport.TCP, options }, { inheritAppConfig });
    await app.startAllMicroservices();
    client = ClientProxyFactory.create({ transport: Transport.TCP, options }) as ClientTCP;
  }

  const send = (pattern: string, data: object) => lastValueFrom(client.send(pattern, data));

  beforeEach(async () => {
    passage = await passageForTest();
  });

  afterEach(() => client.close());

  it.each([true, false])(
    'are guarded by the headers of their messages (inheriting the app: %s)',
    async (inherit) => {
      await startApp(
        { imports: [PassageModule.forRoot(passage.options)], controllers: [MessageController] },
        (app) => connect(app, inherit),
      );
      const { authorization, user } = await signIn(passage);
      expect(await send('me', { headers: { authorization } })).toEqual({ id: user.id, email: user.email });
      expect(await send('me', { headers: { Authorization: authorization } })).toMatchObject({ id: user.id });
      await expect(send('me', {})).rejects.toEqual({
        status: 'error',
        message: 'Authentication is required',
        code: 'ERR_PASSAGE_UNAUTHENTICATED',
      });
      await expect(send('me', { headers: { authorization: 'Bearer x' } })).rejects.toMatchObject({
        code: 'ERR_PASSAGE_INVALID_TOKEN',
      });
      await expect(
        send('me', { headers: { authorization: [authorization, authorization] } }),
      ).rejects.toMatchObject({
        code: 'ERR_PASSAGE_INVALID_REQUEST',
      });
    },
  );

  it('take hostile messages for messages without credentials', async () => {
    await startApp(
      { imports: [PassageModule.forRoot(passage.options)], controllers: [MessageController] },
      (app) => connect(app, true),
    );
    for (const data of [
      { headers: null },
      { headers: 'x' },
      { headers: { get: 'x' } },
      { headers: { authorization: { toString: 1 } } },
    ]) {
      await expect(send('me', data)).rejects.toMatchObject({ code: 'ERR_PASSAGE_UNAUTHENTICATED' });
    }
    await expect(send('me', 'text' as never)).rejects.toMatchObject({ code: 'ERR_PASSAGE_UNAUTHENTICATED' });
  });

  it('may be optional', async () => {
    await startApp(
      { imports: [PassageModule.forRoot(passage.options)], controllers: [MessageController] },
      (app) => connect(app, true),
    );
    const { authorization, user } = await signIn(passage);
    expect(await send('anyone', {})).toEqual({ userId: null });
    expect(await send('anyone', { headers: { authorization } })).toEqual({ userId: user.id });
    await expect(send('anyone', { headers: { authorization: 'Bearer x' } })).rejects.toMatchObject({
      code: 'ERR_PASSAGE_INVALID_TOKEN',
    });
  });

  it('answer errors that handlers throw', async () => {
    await startApp(
      { imports: [PassageModule.forRoot(passage.options)], controllers: [MessageController] },
      (app) => connect(app, true),
    );
    await expect(send('forgotten', {})).rejects.toMatchObject({ code: 'ERR_PASSAGE_UNAUTHENTICATED' });
  });

  // What the contexts of other transports give, by their own types; the brokers themselves are not needed for it.
  it.each([
    ['gRPC', (authorization: string) => ({ getMap: () => ({ authorization }) })],
    ['NATS', (authorization: string) => ({ getHeaders: () => new Map([['authorization', authorization]]) })],
    [
      'Kafka',
      (authorization: string) => ({
        getMessage: () => ({ headers: { authorization: Buffer.from(authorization) } }),
      }),
    ],
    [
      'RabbitMQ',
      (authorization: string) => ({ getMessage: () => ({ properties: { headers: { authorization } } }) }),
    ],
  ])('read the headers of %s', async (_name, contextWith) => {
    const { app } = await startApp(
      { imports: [PassageModule.forRoot(passage.options)], providers: [PassageGuard] },
      (prepared) => connect(prepared, true),
    );
    const { authorization, user } = await signIn(passage);
    const call = contextWith(authorization) as { passage?: { userId: string } };
    const context = {
      getType: () => 'rpc',
      getClass: () => MessageController,
      getHandler: () => MessageController.prototype.me,
      switchToRpc: () => ({ getContext: () => call, getData: () => undefined }),
    };
    expect(await app.get(PassageGuard).canActivate(context as never)).toBe(true);
    expect(call.passage?.userId).toBe(user.id);
    expect(app.get(Passage).appId).toBe(passage.options.appId);
  });
});

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
