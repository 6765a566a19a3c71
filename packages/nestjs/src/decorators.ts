import {
  type CustomDecorator,
  createParamDecorator,
  type ExecutionContext,
  SetMetadata,
} from '@nestjs/common';
import { type Authorize as Check, type Principal, requirePrincipal } from '@passage-auth/core';
import { type Access, accessKey, authorizeKey } from './access.ts';
import { carrierOf } from './context.ts';

/** Leaves a handler, or all handlers of a class, open: the guard ignores their requests. */
export function Public(): CustomDecorator<symbol> {
  return SetMetadata<symbol, Access>(accessKey, 'public');
}

/** Accepts requests without credentials. Invalid credentials are still refused. */
export function OptionalAuth(): CustomDecorator<symbol> {
  return SetMetadata<symbol, Access>(accessKey, 'optional');
}

/**
 * Accepts only callers for whom the function returns `true`; others get 403. On a handler, or on a
 * class for all its handlers: every function of both must allow. Requests without credentials are refused, also with
 * `@OptionalAuth()`.
 *
 * @throws TypeError if the argument is not a function
 */
export function Authorize(check: Check): ClassDecorator & MethodDecorator {
  if (typeof check !== 'function') throw new TypeError('@Authorize() needs a function of the principal');
  return (type: object, _name?: string | symbol, descriptor?: PropertyDescriptor): void => {
    const target = descriptor?.value ?? type;
    Reflect.defineMetadata(
      authorizeKey,
      [...(Reflect.getMetadata(authorizeKey, target) ?? []), check],
      target,
    );
  };
}

/** The principal; `undefined` only if authentication is optional. */
export const CurrentPrincipal = createParamDecorator((_data: unknown, context: ExecutionContext) =>
  principalOf(context),
);

/** The calling Passage user, loaded if needed; `undefined` only if authentication is optional. */
export const CurrentUser = createParamDecorator((_data: unknown, context: ExecutionContext) =>
  principalOf(context)?.loadUser(),
);

/** The ID of the calling user; `undefined` only if authentication is optional. */
export const UserId = createParamDecorator(
  (_data: unknown, context: ExecutionContext) => principalOf(context)?.userId,
);

/** @throws UnauthenticatedError where no guard has run, so that a forgotten one fails closed */
function principalOf(context: ExecutionContext): Principal | undefined {
  const carrier = carrierOf(context);
  return 'passage' in carrier ? carrier.passage : requirePrincipal(carrier);
}
