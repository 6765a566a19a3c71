import { Controller, Get, type INestApplication, UseGuards } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { PassageGuard, PassageModule, UserId } from '@passage-auth/nestjs';
import { startPassage, type TestPassage } from '@passage-auth/testing';
import { io } from 'socket.io-client';
import request from 'supertest';

@Controller()
class AppController {
  @Get('me')
  me(@UserId() userId: string) {
    return { userId };
  }
}

@WebSocketGateway()
@UseGuards(PassageGuard)
class AppGateway {
  @SubscribeMessage('me')
  me(@UserId() userId: string) {
    return { event: 'me', data: { userId } };
  }
}

describe('an app', () => {
  let passage: TestPassage;
  let app: INestApplication;

  beforeAll(async () => {
    passage = await startPassage();
    const module = await Test.createTestingModule({
      imports: [PassageModule.forRoot({ ...passage.options, global: true })],
      controllers: [AppController],
      providers: [AppGateway],
    }).compile();
    app = module.createNestApplication();
    await app.listen(0, '127.0.0.1');
  });

  afterAll(async () => {
    await app.close();
    await passage.close();
  });

  it('knows its users', async () => {
    const user = await passage.createUser();
    const { headers } = await passage.signIn(user);
    const { body } = await request(app.getHttpServer()).get('/me').set(headers).expect(200);
    expect(body).toEqual({ userId: user.id });
  });

  it('refuses all others', async () => {
    await request(app.getHttpServer()).get('/me').expect(401).expect('WWW-Authenticate', 'Bearer');
    for (const { headers, status } of await passage.badTokens()) {
      await request(app.getHttpServer()).get('/me').set(headers).expect(status);
    }
  });

  it('answers over sockets as over HTTP', async () => {
    const user = await passage.createUser();
    const { headers } = await passage.signIn(user);
    expect(await ask(headers)).toEqual(['me', { userId: user.id }]);
    expect(await ask()).toMatchObject(['exception', { code: 'ERR_PASSAGE_UNAUTHENTICATED' }]);
  });

  /** Sends `me` over a connection of its own, and returns what comes back. */
  async function ask(extraHeaders: Record<string, string> = {}): Promise<unknown[]> {
    const socket = io(await app.getUrl(), { extraHeaders, transports: ['websocket'], forceNew: true });
    try {
      return await new Promise((resolve) => {
        socket.onAny((...answer) => resolve(answer));
        socket.emit('me', {});
      });
    } finally {
      socket.close();
    }
  }
});
