import {
  type CanActivate,
  type ExecutionContext,
  Inject,
  Injectable,
  type InjectionToken,
  type Type,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import {
  type Authorize,
  internalAuthenticate,
  internalChain,
  isPassageError,
  isPreflight,
  Passage,
  type Principal,
  type RequestHeaders,
} from '@passage-auth/core';
import { type Access, guardKey, policyOf } from './access.ts';
import { disconnect, type GatewayClient } from './connection.ts';
import { type Client, readCall, readClient, typeOf } from './context.ts';
import { toException } from './errors.ts';
import { type Settings, settingsOf } from './tokens.ts';

const guards = new Map<InjectionToken, Type<PassageGuard>>();

/**
 * Guard that sets `request.passage` or throws, for HTTP, GraphQL, WebSocket and microservice handlers.
 *
 * Checked: what `passage.auth.authenticate` checks, and `authorize`. Not checked: handlers marked `@Public()`, and a CORS
 * preflight, which browsers send without credentials.
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

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const access = this.getAccess(context);
    if (access === 'public') return true;
    const call = readCall(context);
    // Browsers send no credentials with it; only `@All` and `@Options` handlers would see it.
    if (typeOf(context) === 'http' && isPreflight(call.method, call.headers)) return true;
    const fail = (error: unknown) => this.#refuse(error, context);
    try {
      const caller = internalAuthenticate(this.#passage, this.getHeaders(context, call.headers), {
        optional: this.#settings.optional || access === 'optional',
        loadUser: this.#settings.loadUser,
        authorize: this.#checksOf(context),
        method: call.method,
        rawHeaders: call.rawHeaders,
      });
      const outcome = internalChain(caller, (principal) => {
        call.carrier.passage = principal;
        return true;
      });
      return typeof outcome === 'boolean' ? outcome : Promise.resolve(outcome).catch(fail);
    } catch (error) {
      return fail(error);
    }
  }

  /**
   * Authenticates the connection of a gateway's client, and disconnects it if a message would be refused. For
   * `handleConnection`: Nest calls guards for messages only, never for connections.
   *
   * @param client A client of Socket.IO or `ws`.
   * @param request The second argument of `handleConnection`; only `ws` needs it.
   * @returns `undefined` if the client was disconnected, or has no credentials and they are optional
   */
  async authenticateConnection(client: GatewayClient, request?: object): Promise<Principal | undefined> {
    if (request) client.request ??= request as Client['request'];
    const call = readClient(client as Client);
    const { optional, loadUser, authorize } = this.#settings;
    try {
      call.carrier.passage = await internalAuthenticate(this.#passage, call.headers, {
        optional,
        loadUser,
        authorize: authorize && [authorize],
        method: call.method,
        rawHeaders: call.rawHeaders,
      });
      return call.carrier.passage;
    } catch (error) {
      disconnect(client, error);
      return undefined;
    }
  }

  #checksOf(context: ExecutionContext): readonly Authorize[] {
    const { checks } = policyOf(context.getClass(), context.getHandler());
    const { authorize } = this.#settings;
    return authorize ? [authorize, ...checks] : checks;
  }

  async #refuse(error: unknown, context: ExecutionContext): Promise<never> {
    throw isPassageError(error) ? await toException(error, context, this.#adapters) : error;
  }

  /** Returns whether and how the handler accepts callers without credentials. Override it for other decorators. */
  protected getAccess(context: ExecutionContext): Access | undefined {
    return policyOf(context.getClass(), context.getHandler()).access;
  }

  /**
   * Returns the headers that contain the credentials. Override it for transports that carry them elsewhere.
   *
   * @param headers Headers found in the usual place.
   */
  protected getHeaders(_context: ExecutionContext, headers: RequestHeaders): RequestHeaders {
    return headers;
  }
}

function createGuard(token: InjectionToken): Type<PassageGuard> {
  @Injectable()
  class OtherPassageGuard extends PassageGuard {}
  Inject(token)(OtherPassageGuard, undefined, 0);
  Inject(settingsOf(token))(OtherPassageGuard, undefined, 1);
  return OtherPassageGuard;
}
