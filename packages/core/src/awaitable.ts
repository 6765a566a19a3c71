/**
 * A value, or the promise of one. What is known already is then at hand without a turn of the event loop, which in a
 * busy server costs a request more than all that is done with a remembered token.
 */
export type Awaitable<T> = T | PromiseLike<T>;

/** Goes on with a value: at once where it is known. */
export function chain<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return isPromise(value) ? value.then(next) : next(value);
}

/** Tells the outcome of `work`, a throw included: at once where it is known. */
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

// Not `instanceof`: a promise that is taken for the value would pass for a caller, and `Promise` can be replaced.
function isPromise<T>(value: Awaitable<T>): value is PromiseLike<T> {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function';
}
