/**
 * Describes the guard to `@nestjs/swagger`: a bearer token is required, and which responses it adds.
 *
 * It writes the metadata that Swagger's decorators would write, so that Swagger need not be installed.
 *
 * @module
 */
import { RequestMethod, type Type } from '@nestjs/common';
import { MetadataScanner, type ModulesContainer } from '@nestjs/core';
import { accessOf, checksOf, isGuarded } from './access.ts';

// `DECORATORS` of `@nestjs/swagger/dist/constants`.
const securityKey = 'swagger/apiSecurity';
const responseKey = 'swagger/apiResponse';

const responses = {
  401: { description: 'No token was sent, or it was refused' },
  403: { description: 'The user is deactivated or not allowed to do this' },
  503: { description: 'The token cannot be checked: try again later' },
};

type Handler = (...args: never) => unknown;

/** Describes the guarded handlers of every controller. The app's own descriptions are kept. */
export function describeAuthentication(modules: ModulesContainer, global: boolean): void {
  for (const { controllers } of modules.values()) {
    // A controller is its own token.
    for (const type of controllers.keys() as Iterable<Type>) {
      describeController(type, global || isGuarded(type));
    }
  }
}

function describeController(type: Type, guarded: boolean): void {
  const names = new MetadataScanner().getAllMethodNames(type.prototype);
  const handlers: Handler[] = names
    .map((name) => type.prototype[name])
    .filter((handler) => Reflect.hasMetadata('path', handler));
  const described = handlers.filter(
    (handler) => (guarded || isGuarded(handler)) && accessOf(type, handler) !== 'public',
  );
  for (const handler of described) addSecurity(type, handler);
  // Responses of a class are added to those of its handlers. Responses of a handler replace those that Swagger
  // infers. So they are set on the class where possible.
  if (described.length === handlers.length) addResponses(type, {});
  else for (const handler of described) addResponses(handler, successOf(handler));
}

function addSecurity(type: object, handler: Handler): void {
  if (Reflect.hasMetadata(securityKey, handler) || Reflect.hasMetadata(securityKey, type)) return;
  const anonymous =
    accessOf(type, handler) === 'optional' && checksOf(type, handler).length === 0 ? [{}] : [];
  Reflect.defineMetadata(securityKey, [{ bearer: [] }, ...anonymous], handler);
}

function addResponses(target: object, success: object): void {
  const own = Reflect.getMetadata(responseKey, target) ?? success;
  Reflect.defineMetadata(responseKey, { ...responses, ...own }, target);
}

function successOf(handler: Handler): object {
  const created = Reflect.getMetadata('method', handler) === RequestMethod.POST;
  const status = Reflect.getMetadata('__httpCode__', handler) ?? (created ? 201 : 200);
  return { [status]: { description: '' } };
}
