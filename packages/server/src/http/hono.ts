import { type Context, Hono, type Next } from 'hono';
import type { Answer } from '../answer.ts';
import type { Service } from '../service.ts';

export interface HttpEnvironment {
  Bindings: {
    /** Its log lines have the ID of the request. */
    service: Service;
    /** Address of the connection. */
    remoteAddress: string | undefined;
  };
}

export type HttpContext = Context<HttpEnvironment>;

type Handler = (context: HttpContext) => Answer | Promise<Answer>;

/** Hono with answers of the server in place of `Response`. It passes on what handlers return without reading it. */
export interface HttpRouter {
  get(path: string, handle: Handler): void;
  on(method: string, path: string, handle: Handler): void;
  use(path: string, handle: (context: HttpContext, next: Next) => Promise<Answer | undefined>): void;
  notFound(handle: Handler): void;
  onError(handle: (error: Error, context: HttpContext) => Answer): void;
  fetch(request: Request, environment: HttpEnvironment['Bindings']): Answer | Promise<Answer>;
}

export function createHttpRouter(): HttpRouter {
  return new Hono<HttpEnvironment>({ strict: false }) as unknown as HttpRouter;
}

/** Returns the answer of the handlers after a middleware. */
export async function answerOf(context: HttpContext, next: Next): Promise<Answer> {
  await next();
  return context.res as unknown as Answer;
}
