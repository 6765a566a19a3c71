import {
  type CustomDecorator,
  createParamDecorator,
  type ExecutionContext,
  SetMetadata,
} from '@nestjs/common';
import { type Principal, requirePrincipal } from '@passage-auth/core';
import { type Access, accessKey } from './access.ts';
import { readCall } from './context.ts';

/** Leaves a handler, or all handlers of a class, open: the guard does not look at their requests. */
export function Public(): CustomDecorator<symbol> {
  return SetMetadata<symbol, Access>(accessKey, 'public');
}

/** Lets requests without credentials pass. Bad credentials are refused all the same. */
export function OptionalAuth(): CustomDecorator<symbol> {
  return SetMetadata<symbol, Access>(accessKey, 'optional');
}

/** Who is calling, a `Principal`; `undefined` only where authentication is optional. */
export const CurrentPrincipal = createParamDecorator((_data: unknown, context: ExecutionContext) =>
  principalOf(context),
);

/** The Passage user who is calling, loaded if need be; `undefined` only where authentication is optional. */
export const CurrentUser = createParamDecorator((_data: unknown, context: ExecutionContext) =>
  principalOf(context)?.loadUser(),
);

/** The id of the user who is calling; `undefined` only where authentication is optional. */
export const UserId = createParamDecorator(
  (_data: unknown, context: ExecutionContext) => principalOf(context)?.userId,
);

/** @throws UnauthenticatedError where no guard has run, so that a forgotten one fails closed */
function principalOf(context: ExecutionContext): Principal | undefined {
  const { carrier } = readCall(context);
  return 'passage' in carrier ? carrier.passage : requirePrincipal(carrier);
}
