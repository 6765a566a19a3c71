import type { Route } from '../http/routes.ts';
import { appRoutes } from './app.ts';
import { linkRoutes } from './links.ts';
import { listRoutes } from './list.ts';
import { userRoutes } from './users.ts';

/** Routes of the Management API. */
export const managementRoutes: readonly Route[] = [...appRoutes, ...listRoutes, ...userRoutes, ...linkRoutes];
