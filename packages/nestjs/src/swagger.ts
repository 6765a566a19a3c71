/**
 * Tells `@nestjs/swagger` what the guard does: that a bearer token is wanted, and which answers there are besides.
 *
 * It is told by the metadata that its decorators write, which is all they do, so that it need not be installed.
 *
 * @module
 */
import { MetadataScanner, type ModulesContainer } from '@nestjs/core';
import { accessOf, isGuarded } from './access.ts';

// `DECORATORS` of `@nestjs/swagger/dist/constants`.
const securityKey = 'swagger/apiSecurity';
const responseKey = 'swagger/apiResponse';

const responses = {
  401: { description: 'No token was sent, or it was refused' },
  403: { description: 'The user is deactivated' },
  503: { description: 'The token cannot be checked at the moment' },
};

/** Describes the guarded handlers of every controller. What the app itself says about a handler stays. */
export function describeAuthentication(modules: ModulesContainer, global: boolean): void {
  const scanner = new MetadataScanner();
  for (const { controllers } of modules.values()) {
    for (const { metatype } of controllers.values()) {
      if (typeof metatype !== 'function') continue;
      const guarded = global || isGuarded(metatype);
      for (const name of scanner.getAllMethodNames(metatype.prototype)) {
        const handler = metatype.prototype[name];
        if (guarded || isGuarded(handler)) describeHandler(metatype, handler);
      }
    }
  }
}

function describeHandler(type: object, handler: object): void {
  const access = accessOf(type, handler);
  if (access === 'public') return;
  const security = [{ bearer: [] }, ...(access === 'optional' ? [{}] : [])];
  if (!Reflect.hasMetadata(securityKey, handler)) Reflect.defineMetadata(securityKey, security, handler);
  const own = Reflect.getMetadata(responseKey, handler);
  Reflect.defineMetadata(responseKey, { ...responses, ...own }, handler);
}
