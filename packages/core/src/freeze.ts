/** Freezes a JSON value in depth, so that one object can serve many requests. @internal */
export function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freeze);
  return value;
}
