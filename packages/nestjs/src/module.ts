import {
  ConfigurableModuleBuilder,
  type DynamicModule,
  Inject,
  type InjectionToken,
  Module,
  type Provider,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, ModulesContainer } from '@nestjs/core';
import { type AdapterOptions, Passage } from '@passage-auth/core';
import { PassageFilter } from './errors.ts';
import { PassageGuard } from './guard.ts';
import { requireGuards } from './routes.ts';
import { describeAuthentication } from './swagger.ts';
import { globally, settingsOf } from './tokens.ts';

/** Options of a module besides those of its client. */
export interface PassageModuleExtras {
  /** Guard every handler of the app. Default is false: only those with `@UseGuards(PassageGuard)`. */
  global?: boolean | undefined;
  /** Token of the client, for apps with several. Its guard is `PassageGuard.for(token)`. Default is the class `Passage`. */
  token?: InjectionToken | undefined;
}

/** Interface for `useClass` and `useExisting` of `forRootAsync`. */
export interface PassageOptionsFactory {
  createPassageOptions(): AdapterOptions | Promise<AdapterOptions>;
}

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder<AdapterOptions>({
  moduleName: 'Passage',
})
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createPassageOptions')
  .setExtras<PassageModuleExtras>(
    { global: false, token: Passage },
    (definition, { global, token = Passage }) => ({
      ...definition,
      global: true,
      // The builder always adds the options.
      providers: [...(definition.providers as Provider[]), ...providersOf(token, global)],
      exports: [token, settingsOf(token), PassageGuard.for(token)],
    }),
  )
  .build();

function providersOf(token: InjectionToken, global = false): Provider[] {
  const guard = PassageGuard.for(token);
  const inject = [MODULE_OPTIONS_TOKEN];
  return [
    { provide: token, inject, useFactory: clientOf },
    {
      provide: settingsOf(token),
      inject,
      useFactory: ({ optional, loadUser, authorize }: AdapterOptions) => ({ optional, loadUser, authorize }),
    },
    { provide: globally, useValue: global },
    { provide: APP_FILTER, useClass: PassageFilter },
    guard,
    // By reference, so that `overrideGuard` and `overrideProvider` reach the global guard, too.
    ...(global ? [{ provide: APP_GUARD, useExisting: guard }] : []),
  ];
}

/** @throws TypeError if the factory returns `global` or `token`: ignoring them would leave the app open */
function clientOf(options: AdapterOptions): Passage {
  if ('global' in options || 'token' in options) {
    throw new TypeError('"global" and "token" must be set beside "useFactory", not in what it returns');
  }
  return Passage.from(options);
}

/**
 * Module that provides the client of a Passage app and its guard to the whole application.
 *
 * @example
 * ```ts
 * @Module({ imports: [PassageModule.forRoot({ global: true })] })
 * class AppModule {}
 * ```
 */
@Module({})
export class PassageModule extends ConfigurableModuleClass {
  /** @throws TypeError if a handler has `@Authorize()` and no guard that runs it */
  constructor(@Inject(ModulesContainer) modules: ModulesContainer, @Inject(globally) global: boolean) {
    super();
    requireGuards(modules);
    describeAuthentication(modules, global);
  }

  /** @param options Those left out are read from the environment. */
  static override forRoot(options: AdapterOptions & PassageModuleExtras = {}): DynamicModule {
    // biome-ignore lint/complexity/noThisInStatic: the base class makes a module of the class it is called on.
    return super.forRoot(options);
  }
}
