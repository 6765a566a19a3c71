import { type Awaitable, isPromise } from './awaitable.ts';
import { isPassageError } from './errors.ts';
import { type Channel, host } from './runtime.ts';

/** How an authentication ended: message of the channel `passage-auth:authenticate`. */
export interface AuthenticateEvent {
  readonly appId: string;
  /** `failed` is an error of the API or of the app itself. */
  readonly outcome: 'authenticated' | 'anonymous' | 'refused' | 'unavailable' | 'failed';
  /** The `reason` of a refused token, else the `code` of the error. */
  readonly reason: string | undefined;
  /** In milliseconds. */
  readonly duration: number;
}

/** A fetch of the issuer's keys: message of the channel `passage-auth:keys`. */
export interface KeysEvent {
  readonly appId: string;
  readonly outcome: 'fetched' | 'failed';
  /** In milliseconds. */
  readonly duration: number;
}

/** A call of the Management API with its retry: message of the channel `passage-auth:api`. */
export interface ApiEvent {
  readonly appId: string;
  readonly method: string;
  readonly outcome: 'succeeded' | 'failed';
  /** The `code` of the error. */
  readonly reason: string | undefined;
  /** In milliseconds. */
  readonly duration: number;
}

// Asked at run time: edge runtimes refuse to load modules that import from `node:`.
const diagnostics = host.process?.getBuiltinModule?.('node:diagnostics_channel');

/** The channels, on runtimes that have them. @internal */
export const channels = {
  authenticate: diagnostics?.channel('passage-auth:authenticate'),
  keys: diagnostics?.channel('passage-auth:keys'),
  api: diagnostics?.channel('passage-auth:api'),
};

/**
 * Does some work, and publishes its outcome if somebody listens.
 *
 * @param describe The message without its duration; the error is `undefined` if the work succeeded.
 * @internal
 */
export function observe<T>(
  channel: Channel | undefined,
  work: () => Awaitable<T>,
  describe: (error: unknown, value?: T) => object,
): Awaitable<T> {
  if (!channel?.hasSubscribers) return work();
  const start = performance.now();
  const publish = (error: unknown, value?: T) =>
    channel.publish({ ...describe(error, value), duration: performance.now() - start });
  const succeed = (value: T) => {
    publish(undefined, value);
    return value;
  };
  const fail = (error: unknown): never => {
    publish(error ?? 'nothing');
    throw error;
  };
  let result: Awaitable<T>;
  try {
    result = work();
  } catch (error) {
    return fail(error);
  }
  return isPromise(result) ? result.then(succeed, fail) : succeed(result);
}

/** How an authentication ended. @internal */
export function outcomeOf(error: unknown, principal: unknown): Pick<AuthenticateEvent, 'outcome' | 'reason'> {
  if (error === undefined) return { outcome: principal ? 'authenticated' : 'anonymous', reason: undefined };
  if (!isPassageError(error)) return { outcome: 'failed', reason: undefined };
  const { reason = error.code } = error as { reason?: string };
  if (error.status < 500) return { outcome: 'refused', reason };
  return { outcome: error.status === 503 ? 'unavailable' : 'failed', reason };
}

/** The code of an error of this library. @internal */
export function codeOf(error: unknown): string | undefined {
  return isPassageError(error) ? error.code : undefined;
}
