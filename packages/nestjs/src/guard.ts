import {
  type CanActivate,
  type ExecutionContext,
  Inject,
  Injectable,
  type InjectionToken,
  type Type,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { isPassageError, Passage, type RequestHeaders } from '@passage-auth/core';
import { type Access, accessOf, guardKey } from './access.ts';
import { readCall } from './context.ts';
import { toException } from './errors.ts';
import { type Settings, settingsOf } from './tokens.ts';

const guards = new Map<InjectionToken, Type<PassageGuard>>();

/**
 * Guard that sets `request.passage`, or throws. For HTTP, GraphQL, WebSocket and microservice handlers.
 *
 * Checked: what `passage.auth.authenticate` checks. Not checked: handlers marked `@Public()`.
 *
 * @example
 * ```ts
 * @Controller()
 * @UseGuards(PassageGuard)
 * class MeController {
 *   @Get('me')
 *   me(@CurrentUser() user: PassageUser) {
 *     return user;
 *   }
 * }
 * ```
 */
@Injectable()
export class PassageGuard implements CanActivate {
  /** Marks the class and those made from it. @internal */
  static readonly [guardKey] = true;
  readonly #passage: Passage;
  readonly #settings: Settings;
  readonly #adapters: HttpAdapterHost;

  constructor(
    @Inject(Passage) passage: Passage,
    @Inject(settingsOf(Passage)) settings: Settings,
    @Inject(HttpAdapterHost) adapters: HttpAdapterHost,
  ) {
    this.#passage = passage;
    this.#settings = settings;
    this.#adapters = adapters;
  }

  /** Returns the guard of another app: the one whose module has this `token`. */
  static for(token: InjectionToken): Type<PassageGuard> {
    if (token === Passage) return PassageGuard;
    const guard = guards.get(token) ?? createGuard(token);
    guards.set(token, guard);
    return guard;
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = this.getAccess(context);
    if (access === 'public') return true;
    const { optional = false, loadUser } = this.#settings;
    const { carrier, method, rawHeaders } = readCall(context);
    const options = { optional: optional || access === 'optional', loadUser, method, rawHeaders };
    try {
      carrier.passage = await this.#passage.auth.authenticate(this.getHeaders(context), options);
      return true;
    } catch (error) {
      throw isPassageError(error) ? await toException(error, context, this.#adapters) : error;
    }
  }

  /** How the handler is open to callers without credentials, if it is. To be overridden for other marks. */
  protected getAccess(context: ExecutionContext): Access | undefined {
    return accessOf(context.getClass(), context.getHandler());
  }

  /** Where credentials are looked for. To be overridden for transports that carry them elsewhere. */
  protected getHeaders(context: ExecutionContext): RequestHeaders {
    return readCall(context).headers;
  }
}

function createGuard(token: InjectionToken): Type<PassageGuard> {
  @Injectable()
  class OtherPassageGuard extends PassageGuard {}
  Inject(token)(OtherPassageGuard, undefined, 0);
  Inject(settingsOf(token))(OtherPassageGuard, undefined, 1);
  return OtherPassageGuard;
}
