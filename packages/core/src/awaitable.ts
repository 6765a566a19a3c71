/**
 * A value, or the promise of one. A known value then costs no turn of the event loop, which in a busy server takes longer
 * than everything else that is done with a remembered token.
 */
export type Awaitable<T> = T | PromiseLike<T>;

/** Continues with a value; synchronously if it is known. */
export function chain<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return isPromise(value) ? value.then(next) : next(value);
}

/** Calls `done` with the outcome of `work`, including a throw; synchronously if it is known. */
export function settle<T>(work: () => Awaitable<T>, done: (error?: unknown, value?: T) => void): void {
  // Always an object: frameworks take `undefined` for "no error", and Express also the text 'route'.
  const fail = (error: unknown) => done(Object(error));
  let value: Awaitable<T>;
  try {
    value = work();
  } catch (error) {
    fail(error);
    return;
  }
  if (isPromise(value)) value.then((result) => done(undefined, result), fail);
  else done(undefined, value);
}

/** Returns whether a value is a promise. */
// Not `instanceof`: `Promise` can be replaced, and a promise mistaken for a value would pass for a caller.
export function isPromise<T>(value: Awaitable<T>): value is PromiseLike<T> {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function';
}

/** How long after its own timeout work counts as dead, in milliseconds: first its own timer must have had its turn. */
export const grace = 100;

/**
 * Waits for work that another request started, and returns `undefined` if it takes longer than `milliseconds`.
 *
 * On Workers, the work of a request dies with it: it never settles, or rejects for everybody else. So what is waited for
 * must not reject itself.
 *
 * @internal
 */
export async function within<T>(milliseconds: number, work: PromiseLike<T>): Promise<T | undefined> {
  let stop = () => {};
  const late = new Promise<undefined>((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    stop = () => clearTimeout(timer);
  });
  try {
    return await Promise.race([work, late]);
  } catch {
    return undefined;
  } finally {
    stop();
  }
}
