import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  HttpException,
  Injectable,
  type LoggerService,
  Param,
  UseGuards,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { describe, expect, it } from 'vitest';
import { passageForTest, signIn, startApp } from './app.fixture.ts';
import {
  CurrentPrincipal,
  CurrentUser,
  isPassageError,
  OptionalAuth,
  Passage,
  PassageException,
  PassageGuard,
  PassageModule,
  type PassageUser,
  type Principal,
  Public,
  UserId,
} from './index.ts';

/** Keeps what is logged as an error. */
function createLog() {
  const errors: unknown[] = [];
  const logger: LoggerService = { log() {}, warn() {}, error: (message) => void errors.push(message) };
  return { errors, logger };
}

describe('decorators', () => {
  const client = new Passage({ appId: 'app', baseUrl: 'https://passage.example.com' });
  const instance = new PassageGuard(client, {}, new HttpAdapterHost());

  @Controller()
  @Public()
  class PublicController {
    @Get('open')
    open() {
      return {};
    }

    @Get('guarded')
    @UseGuards(PassageGuard)
    guarded() {
      return {};
    }

    @Get('instance')
    @UseGuards(instance)
    instance() {
      return {};
    }

    @Get('optional')
    @OptionalAuth()
    optional(
      @CurrentUser() user: unknown,
      @CurrentPrincipal() principal: unknown,
      @UserId() userId: unknown,
    ) {
      return { nobody: [user, principal, userId].every((value) => value === undefined) };
    }
  }

  it('@Public() of a class does not open a handler that is guarded by name', async () => {
    const { options } = await passageForTest();
    for (const global of [false, true]) {
      const { http } = await startApp({
        imports: [PassageModule.forRoot({ ...options, global })],
        controllers: [PublicController],
      });
      await http.get('/open').expect(200);
      await http.get('/guarded').expect(401);
      await http.get('/instance').expect(401);
    }
  });

  it('@Public() of a class opens an inherited handler in that class only', async () => {
    @Controller('closed')
    class ClosedController {
      @Get()
      get() {
        return {};
      }
    }
    @Controller('open')
    @Public()
    class OpenController extends ClosedController {}
    const { options } = await passageForTest();
    const { http } = await startApp({
      imports: [PassageModule.forRoot({ ...options, global: true })],
      controllers: [ClosedController, OpenController],
    });
    await http.get('/open').expect(200);
    await http.get('/closed').expect(401);
    await http.get('/open').expect(200);
  });

  it('@OptionalAuth() of a method counts before @Public() of its class', async () => {
    const { options } = await passageForTest();
    const { http } = await startApp({
      imports: [PassageModule.forRoot({ ...options, global: true })],
      controllers: [PublicController],
    });
    await http.get('/optional').expect(200, { nobody: true });
    await http.get('/optional').set('Authorization', 'Bearer x').expect(401);
    await http.get('/open').set('Authorization', 'Bearer x').expect(200);
  });

  it('@CurrentUser() loads the user where the guard has not', async () => {
    @Controller()
    class MeController {
      @Get('me')
      me(@CurrentUser() { email }: PassageUser) {
        return { email };
      }

      @Get('id')
      id(@CurrentPrincipal() { userId }: Principal) {
        return { userId };
      }
    }
    const passage = await passageForTest();
    const { authorization, user } = await signIn(passage);
    const { http } = await startApp({
      imports: [PassageModule.forRoot({ ...passage.options, loadUser: false, global: true })],
      controllers: [MeController],
    });
    await http.get('/id').set({ authorization }).expect(200, { userId: user.id });
    expect(passage.requests.api).toBe(0);
    await http.get('/me').set({ authorization }).expect(200, { email: user.email });
    expect(passage.requests.api).toBe(1);
  });
});

describe('errors', () => {
  @Controller()
  class UsersController {
    static passage: Passage;

    @Get('users/:id')
    user(@Param('id') id: string) {
      return UsersController.passage.user.get(id);
    }

    @Get('me')
    @UseGuards(PassageGuard)
    me() {
      return {};
    }

    @Get('bug')
    bug() {
      throw new Error('a bug');
    }
  }

  it('keep status and headers when a handler throws them', async () => {
    const passage = await passageForTest();
    UsersController.passage = new Passage(passage.options);
    const { errors, logger } = createLog();
    const { http } = await startApp(
      { imports: [PassageModule.forRoot(passage.options)], controllers: [UsersController] },
      (app) => app.useLogger(logger),
    );
    await http
      .get('/users/nobody')
      .expect(502)
      .expect(/ERR_PASSAGE_API/);
    using _outage = passage.fault('api', 'unreachable');
    await http.get('/users/nobody').expect(503).expect('Retry-After', /\d/);
    expect(errors).toHaveLength(2);
  });

  it('are logged from 500 on only', async () => {
    const passage = await passageForTest();
    const { authorization } = await signIn(passage);
    const { errors, logger } = createLog();
    const { http } = await startApp(
      { imports: [PassageModule.forRoot(passage.options)], controllers: [UsersController] },
      (app) => app.useLogger(logger),
    );
    await http.get('/me').expect(401);
    await http.get('/me').set('Authorization', 'Bearer').expect(400);
    expect(errors).toEqual([]);
    using _outage = passage.fault('jwks', 'unreachable');
    await http.get('/me').set({ authorization }).expect(503);
    expect(errors).toEqual(['The keys of the token issuer are temporarily unavailable']);
  });

  it('are rightly answered by a filter of the app that knows nothing of Passage', async () => {
    // The filter that the Nest documentation suggests for everything.
    @Catch()
    class CatchEverything implements ExceptionFilter {
      constructor(readonly host: HttpAdapterHost) {}
      catch(exception: unknown, host: ArgumentsHost) {
        const status = exception instanceof HttpException ? exception.getStatus() : 500;
        const code = exception instanceof PassageException ? exception.cause.code : null;
        this.host.httpAdapter.reply(host.switchToHttp().getResponse(), { own: true, code }, status);
      }
    }
    const { options } = await passageForTest();
    const { http } = await startApp(
      { imports: [PassageModule.forRoot(options)], controllers: [UsersController] },
      (app) => app.useGlobalFilters(new CatchEverything(app.get(HttpAdapterHost))),
    );
    await http
      .get('/me')
      .expect(401, { own: true, code: 'ERR_PASSAGE_UNAUTHENTICATED' })
      .expect('WWW-Authenticate', 'Bearer');
    await http.get('/bug').expect(500);
  });

  it('of other kinds pass through the guard', async () => {
    const passage = await passageForTest();
    const { errors, logger } = createLog();
    const tokenSource = () => {
      throw new TypeError('a bug of the app');
    };
    const { http } = await startApp(
      {
        imports: [PassageModule.forRoot({ ...passage.options, tokenSource })],
        controllers: [UsersController],
      },
      (app) => app.useLogger(logger),
    );
    await http.get('/me').expect(500);
    expect(errors).toHaveLength(1);
  });

  it('are the cause of what the guard throws', async () => {
    const { options } = await passageForTest();
    const { app } = await startApp({ imports: [PassageModule.forRoot(options)], providers: [PassageGuard] });
    const context = {
      getType: () => 'http',
      getClass: () => UsersController,
      getHandler: () => UsersController.prototype.me,
      switchToHttp: () => ({
        getRequest: () => ({ headers: {} }),
        getResponse: () => ({ headersSent: true }),
      }),
    };
    const refused = app.get(PassageGuard).canActivate(context as unknown as ExecutionContext);
    const error = await Promise.resolve(refused).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PassageException);
    expect(isPassageError((error as PassageException).cause)).toBe(true);
  });
});

describe('a guard of the app', () => {
  @Injectable()
  class ApiTokenGuard extends PassageGuard {
    protected override getHeaders(context: ExecutionContext) {
      return { authorization: context.switchToHttp().getRequest().headers['x-authorization'] };
    }
  }

  @Controller()
  @UseGuards(ApiTokenGuard)
  class MeController {
    @Get('me')
    me(@UserId() userId: string) {
      return { userId };
    }
  }

  it('can look for credentials elsewhere', async () => {
    const passage = await passageForTest();
    const { authorization, user } = await signIn(passage);
    const { http } = await startApp({
      imports: [PassageModule.forRoot(passage.options)],
      controllers: [MeController],
    });
    await http.get('/me').set('X-Authorization', authorization).expect(200, { userId: user.id });
    await http.get('/me').set('Authorization', authorization).expect(401);
  });
});

describe('tests of apps', () => {
  @Controller()
  class MeController {
    @Get('me')
    me(@UserId() userId: string) {
      return { userId };
    }
  }

  @Controller('guarded')
  @UseGuards(PassageGuard)
  class GuardedController extends MeController {}

  const stand = {
    canActivate(context: ExecutionContext) {
      context.switchToHttp().getRequest().passage = { userId: 'ada' };
      return true;
    },
  };

  it.each([true, false])('can override the guard, be it global (%s) or not', async (global) => {
    const { options } = await passageForTest();
    const { http } = await startApp(
      {
        imports: [PassageModule.forRoot({ ...options, global })],
        controllers: [MeController, GuardedController],
      },
      undefined,
      (builder) =>
        global
          ? builder.overrideProvider(PassageGuard).useValue(stand)
          : builder.overrideGuard(PassageGuard).useValue(stand),
    );
    await http.get(global ? '/me' : '/guarded/me').expect(200, { userId: 'ada' });
  });

  it('can use `inject` of Fastify', async () => {
    const passage = await passageForTest();
    const { authorization, user } = await signIn(passage);
    const module = await Test.createTestingModule({
      imports: [PassageModule.forRoot({ ...passage.options, global: true })],
      controllers: [MeController],
    }).compile();
    const app = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter());
    await app.init();
    const known = await app.inject({ url: '/me', headers: { authorization } });
    expect([known.statusCode, known.json()]).toEqual([200, { userId: user.id }]);
    const unknown = await app.inject({ url: '/me' });
    expect([unknown.statusCode, unknown.headers['www-authenticate']]).toEqual([401, 'Bearer']);
    await app.close();
  });

  it('can override the client', async () => {
    const passage = await passageForTest();
    const { authorization, user } = await signIn(passage);
    const { http } = await startApp(
      {
        imports: [
          PassageModule.forRoot({ appId: 'real', baseUrl: 'https://passage.example.com', global: true }),
        ],
        controllers: [MeController],
      },
      undefined,
      (builder) => builder.overrideProvider(Passage).useValue(new Passage(passage.options)),
    );
    await http.get('/me').set({ authorization }).expect(200, { userId: user.id });
  });
});
