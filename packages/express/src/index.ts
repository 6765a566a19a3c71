/**
 * Passage for Express 4 and 5.
 *
 * @module @passage-auth/express
 */
import {
  type AdapterOptions,
  internalAuthenticate,
  isPassageError,
  isPreflight,
  Passage,
  type Principal,
  requirePrincipal,
} from '@passage-auth/core';
import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from 'express';

export * from '@passage-auth/core';

declare global {
  namespace Express {
    interface Request {
      /** Who is calling. Missing where `passageAuth()` did not run or let the request pass without credentials. */
      passage?: Principal;
    }
  }
}

/**
 * Returns a middleware that sets `req.passage`, or passes a `PassageError` to `next`.
 *
 * Checked: what `passage.auth.authenticate` checks. Not checked: a CORS preflight, which browsers send without
 * credentials, passes with `req.passage` unset.
 *
 * @throws TypeError for an option that is missing or cannot be meant
 * @example
 * ```ts
 * app.use(passageAuth());
 * app.get('/me', (req, res) => res.json(requirePrincipal(req).user));
 * ```
 */
export function passageAuth(options: AdapterOptions = {}): RequestHandler {
  const passage = Passage.from(options);
  const { optional, loadUser } = options;
  return (req, _res, next) => {
    const { headers, rawHeaders, method } = req;
    if (isPreflight(method, headers)) return next();
    internalAuthenticate(passage, headers, { optional, loadUser, method, rawHeaders }, (error, principal) => {
      if (principal) req.passage = principal;
      next(error);
    });
  };
}

/** A request whose caller is known. */
export type AuthenticatedRequest<Req = Request> = Req & { passage: Principal };

/**
 * Wraps a handler so that `req.passage` is set, in fact and in type. Refuses the request otherwise. What the handler
 * throws or rejects with goes to `next`, in Express 4 too.
 */
export function withPrincipal<
  P = Request['params'],
  ResBody = unknown,
  ReqBody = Request['body'],
  Query = Request['query'],
>(
  handler: (
    req: AuthenticatedRequest<Request<P, ResBody, ReqBody, Query>>,
    res: Response<ResBody>,
    next: NextFunction,
  ) => unknown,
): RequestHandler<P, ResBody, ReqBody, Query> {
  return async (req, res, next) => {
    try {
      await handler(Object.assign(req, { passage: requirePrincipal(req) }), res, next);
    } catch (error) {
      next(error);
    }
  };
}

/** Returns an error handler that answers Passage errors as JSON, with their status and headers, and passes on all others. */
export function passageErrors(): ErrorRequestHandler {
  return (error, _req, res, next) => {
    if (!isPassageError(error) || res.headersSent) return next(error);
    res.status(error.status).set(error.headers).json(error);
  };
}
