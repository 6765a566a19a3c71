/**
 * Passage for NestJS 11 and 12, on Express and on Fastify.
 *
 * @module @passage-auth/nestjs
 */
export * from '@passage-auth/core';
export type { GatewayClient } from './connection.ts';
export { Authorize, CurrentPrincipal, CurrentUser, OptionalAuth, Public, UserId } from './decorators.ts';
export { PassageException } from './errors.ts';
export { PassageGuard } from './guard.ts';
export { PassageModule, type PassageModuleExtras, type PassageOptionsFactory } from './module.ts';
export { type ListedRoute, listRoutes } from './routes.ts';
