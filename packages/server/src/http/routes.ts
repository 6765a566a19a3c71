import type { z } from 'zod';
import { WireError } from '../errors.ts';
import type { App, Client, Service } from '../service.ts';
import type { Caller } from './caller.ts';

/** What a handler receives. Everything is validated. */
export interface RequestContext<Body, Query> {
  service: Service;
  app: App;
  client: Client;
  /** Path parameters besides `app_id`. */
  params: Record<string, string>;
  body: Body;
  query: Query;
  /** Who is logged in, for routes of access `user`. */
  caller: Caller | undefined;
}

interface RouteDescription<Body, Query, Answer> {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Below `/apps/{app_id}`. */
  path: string;
  summary: string;
  /** `key`: API key of the app. `user`: access token of a user. */
  access: 'public' | 'user' | 'key' | 'optional key';
  /** Whether the route changes a credential or an address: the login must then be recent. */
  credentials?: boolean;
  body?: z.ZodType<Body>;
  query?: z.ZodType<Query>;
  /** Default is 200. */
  status?: 200 | 201;
  /** Shape of the answer. Default is an empty answer. */
  answer?: z.ZodType<Answer>;
  /** Whether caches may keep the answer for five minutes. */
  cacheable?: boolean;
  /** Whether the server does not support the route and always rejects it. */
  absent?: boolean;
  /** Whether strict enumeration equalizes the time of the answer, which could reveal whether an address is known. */
  leveled?: boolean;
  /** Statuses of errors, besides 404 for the app and 500. */
  errors?: readonly number[];
}

export interface Route extends RouteDescription<unknown, unknown, unknown> {
  handle(context: RequestContext<unknown, unknown>): Promise<unknown>;
}

/** Defines a route. Its description becomes part of the OpenAPI document, its schemas validate the request and type the answer. */
export function route<Body = undefined, Query = undefined, Answer = undefined>(
  description: RouteDescription<Body, Query, Answer>,
  handle: (context: RequestContext<Body, Query>) => Promise<Answer>,
): Route {
  return { ...description, handle } as Route;
}

/** Returns the caller of a route of access `user`. */
export function callerOf({ caller }: RequestContext<unknown, unknown>): Caller {
  if (!caller) throw new WireError('invalid_access_token');
  return caller;
}
