import { Controller, Get, Injectable, Post, UseGuards } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { MessagePattern } from '@nestjs/microservices';
import { describe, expect, it } from 'vitest';
import { passageForTest, signIn, startApp } from './app.fixture.ts';
import {
  Authorize,
  listRoutes,
  OptionalAuth,
  PassageGuard,
  PassageModule,
  type Principal,
  Public,
} from './index.ts';

const isAdmin = ({ user }: Principal) => user.userMetadata?.role === 'admin';
const everybody = () => true;
const nobody = () => false;

@Controller('reports')
@UseGuards(PassageGuard)
@Authorize(everybody)
class ReportsController {
  @Get()
  list() {
    return {};
  }

  @Get(['all', '/everything/'])
  @Authorize(nobody)
  all() {
    return {};
  }

  @Get('guest')
  @OptionalAuth()
  guest() {
    return {};
  }

  @Get('open')
  @Public()
  open() {
    return {};
  }

  @Get('twice')
  @Authorize(everybody)
  @Authorize(nobody)
  twice() {
    return {};
  }
}

@Controller(['', 'v2'])
class BareController {
  @Get('bare')
  bare() {
    return {};
  }

  @Post('guarded')
  @UseGuards(PassageGuard)
  guarded() {
    return {};
  }

  @Get('optional')
  @UseGuards(PassageGuard)
  @OptionalAuth()
  optional() {
    return {};
  }

  @MessagePattern('no route')
  message() {
    return {};
  }
}

async function statusOf(path: string, metadata = {}, options = {}) {
  const passage = await passageForTest();
  const { authorization } = await signIn(passage);
  const { http } = await startApp({
    imports: [PassageModule.forRoot({ ...passage.options, ...options })],
    controllers: [ReportsController],
    ...metadata,
  });
  const { status, body } = await http.get(path).set('authorization', authorization);
  return [status, body.code];
}

describe('@Authorize', () => {
  const forbidden = [403, 'ERR_PASSAGE_FORBIDDEN'];

  it('asks the functions of class and handler: all must allow', async () => {
    expect(await statusOf('/reports')).toEqual([200, undefined]);
    expect(await statusOf('/reports/all')).toEqual(forbidden);
    expect(await statusOf('/reports/twice')).toEqual(forbidden);
    expect(await statusOf('/reports', {}, { authorize: nobody })).toEqual(forbidden);
  });

  it('is asked of subclasses, too', async () => {
    @Controller('sub')
    @UseGuards(PassageGuard)
    @Authorize(everybody)
    class SubController extends ReportsController {}

    @Controller('strict')
    @Authorize(nobody)
    class StrictController extends ReportsController {}

    const controllers = [SubController, StrictController];
    expect(await statusOf('/sub', { controllers })).toEqual([200, undefined]);
    expect(await statusOf('/sub/all', { controllers })).toEqual(forbidden);
    expect(await statusOf('/strict', { controllers })).toEqual(forbidden);
  });

  it('refuses guests, and is not asked where a handler is public', async () => {
    const passage = await passageForTest();
    const { http } = await startApp({
      imports: [PassageModule.forRoot(passage.options)],
      controllers: [ReportsController],
    });
    await http.get('/reports/guest').expect(401);
    await http.get('/reports/open').expect(200);
  });

  it('knows the user', async () => {
    @Controller('admin')
    @UseGuards(PassageGuard)
    @Authorize(isAdmin)
    class AdminController {
      @Get()
      get() {
        return {};
      }
    }
    expect(await statusOf('/admin', { controllers: [AdminController] })).toEqual(forbidden);
  });

  it('is refused without a function', () => {
    expect(() => Authorize('admin' as never)).toThrow(TypeError);
  });

  @Controller()
  class UnguardedController {
    @Get('unguarded')
    @Authorize(nobody)
    unguarded() {
      return {};
    }
  }

  it('stops the start where no guard would ask it', async () => {
    const passage = await passageForTest();
    const start = (metadata: object, global = false) =>
      startApp({ imports: [PassageModule.forRoot({ ...passage.options, global })], ...metadata });
    const message = /UnguardedController.unguarded needs @UseGuards\(PassageGuard\)/;
    await expect(start({ controllers: [UnguardedController] })).rejects.toThrow(message);
    await expect(start({ providers: [UnguardedController] })).rejects.toThrow(message);
    await start({ controllers: [UnguardedController] }, true);
    await start({
      controllers: [UnguardedController],
      providers: [{ provide: APP_GUARD, useClass: PassageGuard }],
    });
  });

  it('stops the start where it contradicts @Public()', async () => {
    @Controller()
    @UseGuards(PassageGuard)
    class HandlerController {
      @Get()
      @Public()
      @Authorize(nobody)
      both() {}
    }

    @Controller()
    @UseGuards(PassageGuard)
    @Public()
    @Authorize(nobody)
    class ClassController {
      @Get()
      both() {}
    }
    for (const controller of [HandlerController, ClassController]) {
      const app = statusOf('/', { controllers: [controller] });
      await expect(app).rejects.toThrow(/@Authorize\(\) and @Public\(\).*contradict/);
    }
  });
});

describe('listRoutes', () => {
  async function routesOf(options: object, metadata: object = {}) {
    const passage = await passageForTest();
    const { app } = await startApp({
      imports: [PassageModule.forRoot({ ...passage.options, ...options })],
      controllers: [ReportsController, BareController],
      ...metadata,
    });
    return listRoutes(app).map(({ method, path, handler, access }) =>
      [method, path, handler, access].join(' '),
    );
  }

  it('says of each route who may call it', async () => {
    expect(await routesOf({})).toEqual([
      'GET /bare BareController.bare public',
      'POST /guarded BareController.guarded protected',
      'GET /optional BareController.optional optional',
      'GET /reports ReportsController.list protected',
      'GET /reports/all ReportsController.all protected',
      'GET /reports/everything ReportsController.all protected',
      'GET /reports/guest ReportsController.guest protected',
      'GET /reports/open ReportsController.open public',
      'GET /reports/twice ReportsController.twice protected',
      'GET /v2/bare BareController.bare public',
      'POST /v2/guarded BareController.guarded protected',
      'GET /v2/optional BareController.optional optional',
    ]);
  });

  it('knows global guards and the options of the module', async () => {
    const bare = async (options: object, metadata: object = {}) => (await routesOf(options, metadata))[0];
    expect(await bare({ global: true })).toContain('protected');
    expect(await bare({ global: true, optional: true })).toContain('optional');
    expect(await bare({ global: true, optional: true, authorize: nobody })).toContain('protected');
    const providers = [{ provide: APP_GUARD, useClass: PassageGuard }];
    expect(await bare({}, { providers })).toContain('protected');

    @Injectable()
    class OwnGuard {
      canActivate() {
        return true;
      }
    }
    expect(await bare({}, { providers: [{ provide: APP_GUARD, useClass: OwnGuard }] })).toContain('public');
  });
});
