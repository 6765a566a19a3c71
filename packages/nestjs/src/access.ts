/** What `@Public()` and `@OptionalAuth()` say. */
export type Access = 'public' | 'optional';

// Registered symbols: the ES module and the CommonJS copy of this package read each other's marks.
export const accessKey = Symbol.for('@passage-auth/nestjs/access');
export const guardKey = Symbol.for('@passage-auth/nestjs/guard');

/**
 * Returns how a handler is open to callers without credentials, if it is.
 *
 * The mark of the method counts before that of the class, and so does a guard of the method: what is guarded by name
 * inside a public class is not public.
 */
export function accessOf(type: object, handler: object): Access | undefined {
  const own = Reflect.getMetadata(accessKey, handler) as Access | undefined;
  return own ?? (isGuarded(handler) ? undefined : Reflect.getMetadata(accessKey, type));
}

/** Tells whether `@UseGuards` names a guard of this package here. */
export function isGuarded(target: object): boolean {
  const guards: readonly object[] = Reflect.getMetadata('__guards__', target) ?? [];
  // Nest takes classes and instances.
  return guards.some((guard) => guardKey in (typeof guard === 'function' ? guard : guard.constructor));
}
