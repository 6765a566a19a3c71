import { Controller, Get, Inject, Injectable, Module, UseGuards } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { passageForTest, signIn, startApp } from './app.fixture.ts';
import { Passage, PassageGuard, PassageModule, type PassageOptionsFactory, Public, UserId } from './index.ts';

@Controller()
@UseGuards(PassageGuard)
class MeController {
  @Get('me')
  me(@UserId() userId: string) {
    return { userId };
  }
}

@Controller()
class BareController {
  readonly #passage: Passage;

  constructor(@Inject(Passage) passage: Passage) {
    this.#passage = passage;
  }

  @Get('guarded')
  guarded(@UserId() userId: string) {
    return { userId };
  }

  @Get('app')
  @Public()
  app() {
    return { appId: this.#passage.appId };
  }
}

describe('PassageModule.forRoot', () => {
  it('provides the client to the whole application', async () => {
    const passage = await passageForTest();
    const { http } = await startApp({
      imports: [PassageModule.forRoot(passage.options)],
      controllers: [BareController],
    });
    await http.get('/app').expect(200, { appId: passage.options.appId });
  });

  it('takes a client that is there already', async () => {
    const client = new Passage((await passageForTest()).options);
    const { app } = await startApp({ imports: [PassageModule.forRoot({ passage: client })] });
    expect(app.get(Passage)).toBe(client);
  });

  it('reads the environment when it is given nothing', () => {
    expect(() => PassageModule.forRoot()).not.toThrow();
    return expect(startApp({ imports: [PassageModule.forRoot()] })).rejects.toThrow('PASSAGE_APP_ID');
  });

  it('guards everything with `global`, and only then', async () => {
    const passage = await passageForTest();
    const { authorization, user } = await signIn(passage);
    for (const global of [true, false, undefined]) {
      const { http } = await startApp({
        imports: [PassageModule.forRoot({ ...passage.options, global, token: undefined })],
        controllers: [BareController],
      });
      // Without a guard `@UserId()` refuses, whatever was sent.
      const { status } = await http.get('/guarded').set({ authorization });
      expect(status).toBe(global ? 200 : 401);
      await http.get('/guarded').expect(401).expect('WWW-Authenticate', 'Bearer');
      await http.get('/app').expect(200);
      if (global) await http.get('/guarded').set({ authorization }).expect({ userId: user.id });
    }
  });

  it('lets requests without credentials pass with `optional`', async () => {
    const { options } = await passageForTest();
    const { http } = await startApp({
      imports: [PassageModule.forRoot({ ...options, optional: true })],
      controllers: [MeController],
    });
    await http.get('/me').expect(200, {});
    await http.get('/me').set('Authorization', 'Bearer x').expect(401);
  });
});

describe('PassageModule.forRootAsync', () => {
  @Injectable()
  class Options implements PassageOptionsFactory {
    static current: Awaited<ReturnType<typeof passageForTest>>['options'];
    createPassageOptions() {
      return Promise.resolve(Options.current);
    }
  }

  @Module({ providers: [Options], exports: [Options] })
  class OptionsModule {}

  const ways = {
    useFactory: () => ({
      imports: [OptionsModule],
      inject: [Options],
      useFactory: (options: Options) => options.createPassageOptions(),
    }),
    useClass: () => ({ useClass: Options }),
    useExisting: () => ({ imports: [OptionsModule], useExisting: Options }),
  };

  it.each(Object.entries(ways))('takes options by %s', async (_name, way) => {
    const passage = await passageForTest();
    Options.current = passage.options;
    const { authorization, user } = await signIn(passage);
    const { http } = await startApp({
      imports: [PassageModule.forRootAsync({ ...way(), global: true })],
      controllers: [BareController],
    });
    await http.get('/guarded').set({ authorization }).expect(200, { userId: user.id });
    await http.get('/guarded').expect(401);
  });

  it.each([{ global: true }, { token: Symbol('admin') }])('refuses %j from the factory', async (extra) => {
    const passage = await passageForTest();
    const useFactory = () => ({ ...passage.options, ...extra });
    const app = startApp({
      imports: [PassageModule.forRootAsync({ useFactory })],
      controllers: [BareController],
    });
    await expect(app).rejects.toThrow('must be set beside "useFactory"');
  });
});

describe('several apps', () => {
  const Admin = Symbol('admin');

  @Controller('admin')
  @UseGuards(PassageGuard.for(Admin))
  class AdminController {
    readonly #admin: Passage;

    constructor(@Inject(Admin) admin: Passage) {
      this.#admin = admin;
    }

    @Get()
    me(@UserId() userId: string) {
      return { userId, appId: this.#admin.appId };
    }
  }

  it('each have their client and their guard', async () => {
    const [users, admins] = [await passageForTest(), await passageForTest()];
    const [user, admin] = [await signIn(users), await signIn(admins)];
    const { http } = await startApp({
      imports: [
        PassageModule.forRoot(users.options),
        PassageModule.forRoot({ ...admins.options, token: Admin }),
      ],
      controllers: [MeController, AdminController],
    });
    const as = ({ authorization }: typeof user) => ({ authorization });
    await http.get('/me').set(as(user)).expect(200, { userId: user.user.id });
    await http.get('/me').set(as(admin)).expect(401);
    await http.get('/admin').set(as(user)).expect(401);
    await http
      .get('/admin')
      .set(as(admin))
      .expect(200, { userId: admin.user.id, appId: admins.options.appId });
  });

  it('have one guard for each token', () => {
    expect(PassageGuard.for(Admin)).toBe(PassageGuard.for(Admin));
    expect(PassageGuard.for(Admin)).not.toBe(PassageGuard.for(Symbol('admin')));
    expect(PassageGuard.for(Passage)).toBe(PassageGuard);
  });
});
