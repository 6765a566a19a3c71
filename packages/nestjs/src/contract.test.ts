import {
  All,
  Controller,
  Get,
  type INestApplication,
  Module,
  type NestApplicationOptions,
  Post,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import nest from '@nestjs/core/package.json' with { type: 'json' };
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { type Setup, testAdapter } from '../../../tests/contract/contract.ts';
import {
  CurrentPrincipal,
  CurrentUser,
  OptionalAuth,
  PassageGuard,
  PassageModule,
  type PassageUser,
  type Principal,
  Public,
  UserId,
} from './index.ts';

function createModule({ options, reached }: Setup) {
  @Controller()
  @UseGuards(PassageGuard)
  class AppController {
    @Get('me')
    me(@CurrentUser() user: PassageUser) {
      return answer(user);
    }

    @Post('me')
    change(@CurrentUser() user: PassageUser) {
      return answer(user);
    }

    @All('any-method')
    anyMethod(@CurrentPrincipal() principal: Principal) {
      reached();
      return { userId: principal.userId };
    }

    @All('answers-preflights')
    preflight() {
      return {};
    }

    @Get('anyone')
    @OptionalAuth()
    anyone(@UserId() userId: string | undefined) {
      return { userId: userId ?? null };
    }

    @Get('forgotten')
    @Public()
    forgotten(@UserId() userId: string) {
      return { userId };
    }
  }

  function answer({ id, email }: PassageUser) {
    reached();
    return { userId: id, email };
  }

  @Module({ imports: [PassageModule.forRoot(options)], controllers: [AppController] })
  class AppModule {}

  return AppModule;
}

// Nest goes on to log what it has initialized after it has refused to start, which may be after the test.
const nestOptions: NestApplicationOptions = { abortOnError: false, logger: ['warn', 'error', 'fatal'] };

const platforms = { Express: ExpressAdapter, Fastify: FastifyAdapter };

for (const [platform, Adapter] of Object.entries(platforms)) {
  testAdapter(`Nest ${nest.version} on ${platform}`, async (setup) => {
    const app: INestApplication = await NestFactory.create(createModule(setup), new Adapter(), nestOptions);
    await app.listen(0, '127.0.0.1');
    return { origin: await app.getUrl(), close: () => app.close() };
  });
}

testAdapter(
  `Nest ${nest.version} on Fastify over HTTP/2`,
  async (setup) => {
    const adapter = new FastifyAdapter({ http2: true } as never);
    const app: INestApplication = await NestFactory.create(createModule(setup), adapter, nestOptions);
    await app.listen(0, '127.0.0.1');
    return { origin: await app.getUrl(), close: () => app.close() };
  },
  { http2: true },
);
