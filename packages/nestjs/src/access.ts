import type { Authorize } from '@passage-auth/core';

/** Access that `@Public()` and `@OptionalAuth()` set. */
export type Access = 'public' | 'optional';

// Registered symbols: the ES module and the CommonJS copy of this package read each other's marks.
export const accessKey = Symbol.for('@passage-auth/nestjs/access');
export const authorizeKey = Symbol.for('@passage-auth/nestjs/authorize');
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

/** Functions that `@Authorize()` sets for a handler, those of its class first. */
export function checksOf(type: object, handler: object): readonly Authorize[] {
  const [ofType = none, ofHandler = none] = [type, handler].map((target): readonly Authorize[] | undefined =>
    Reflect.getMetadata(authorizeKey, target),
  );
  return ofType.length > 0 ? [...ofType, ...ofHandler] : ofHandler;
}

const none: readonly Authorize[] = [];

/** What the decorators say about a handler. */
export interface Policy {
  readonly access: Access | undefined;
  readonly checks: readonly Authorize[];
}

const policies = new WeakMap<object, WeakMap<object, Policy>>();

/** {@link accessOf} and {@link checksOf} of a handler. Remembered: reading them takes longer than finding a cached token. */
export function policyOf(type: object, handler: object): Policy {
  return policies.get(type)?.get(handler) ?? readPolicy(type, handler);
}

function readPolicy(type: object, handler: object): Policy {
  const policy = { access: accessOf(type, handler), checks: checksOf(type, handler) };
  const ofType = policies.get(type) ?? new WeakMap<object, Policy>();
  policies.set(type, ofType.set(handler, policy));
  return policy;
}

/** The guards of this package, as classes, that `@UseGuards` names here. */
export function guardsOf(target: object): object[] {
  const guards: readonly object[] = Reflect.getMetadata('__guards__', target) ?? [];
  // Nest takes classes and instances.
  return guards
    .map((guard) => (typeof guard === 'function' ? guard : guard.constructor))
    .filter((guard) => guardKey in guard);
}

/** Whether `@UseGuards` names a guard of this package here. */
export function isGuarded(target: object): boolean {
  return guardsOf(target).length > 0;
}
