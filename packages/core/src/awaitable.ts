/**
 * A value, or the promise of one. A known value skips the event loop: in a busy server, one turn of it takes longer
 * than all other work for a cached token.
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

/** How long after its own timeout work counts as dead, in milliseconds, so that its own timer can fire first. */
export const grace = 100;

/**
 * Waits for work that another request started, and returns `undefined` if it takes longer than `milliseconds`.
 *
 * On Workers, work ends with the request that started it: its promise never settles, or rejects for everybody who
 * waits. So the promise given here must never reject by itself.
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
