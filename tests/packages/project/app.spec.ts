import { Controller, Get, type INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { PassageModule, UserId } from '@passage-auth/nestjs';
import { startPassage, type TestPassage } from '@passage-auth/testing';
import request from 'supertest';

@Controller()
class AppController {
  @Get('me')
  me(@UserId() userId: string) {
    return { userId };
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
    }).compile();
    app = module.createNestApplication();
    await app.init();
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
});
