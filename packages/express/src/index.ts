/**
 * Passage for Express 4 and 5.
 *
 * @module @passage-auth/express
 */
import {
  type AdapterOptions,
  internalAuthenticate,
  internalSettle,
  isPassageError,
  isPreflight,
  Passage,
  type PassageError,
  type Principal,
  requirePrincipal,
} from '@passage-auth/core';
import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from 'express';

export * from '@passage-auth/core';

declare global {
  namespace Express {
    interface Request {
      /** The principal. Undefined if `passageAuth()` did not run, or accepted the request without credentials. */
      passage?: Principal;
    }
  }
}

/**
 * Returns a middleware that sets `req.passage`, or passes a `PassageError` to `next`.
 *
 * Checked: what `passage.auth.authenticate` checks, and `authorize`. Not checked: a CORS preflight, which browsers send without
 * credentials, passes with `req.passage` unset.
 *
 * @throws TypeError if an option is missing or invalid
 * @example
 * ```ts
 * app.use(passageAuth());
 * app.get('/me', (req, res) => res.json(requirePrincipal(req).user));
 * ```
 */
export function passageAuth(options: AdapterOptions = {}): RequestHandler {
  const passage = Passage.from(options);
  const { optional, loadUser } = options;
  const authorize = options.authorize && [options.authorize];
  return (req, _res, next) => {
    const { headers, rawHeaders, method } = req;
    if (isPreflight(method, headers)) return next();
    const how = { optional, loadUser, authorize, method, rawHeaders };
    const work = () => internalAuthenticate(passage, headers, how);
    internalSettle(work, (error, principal) => {
      if (principal) req.passage = principal;
      next(error);
    });
  };
}

/** A request with a principal. */
export type AuthenticatedRequest<Req = Request> = Req & { passage: Principal };

/**
 * Wraps a handler so that `req.passage` is always defined, and refuses the request otherwise. Errors that the handler
 * throws or rejects with go to `next`, in Express 4 too.
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

/** Options of {@link passageErrors}. */
export interface PassageErrorsOptions {
  /** Receives outages (503, 502) with their `cause`, to log them; never client errors (4xx). Default is to log nothing. */
  onError?: ((error: PassageError, req: Request) => void) | undefined;
}

/**
 * Returns an error handler that answers Passage errors as JSON, with their status and headers, and passes on all others.
 *
 * @throws TypeError if `onError` is not a function
 */
export function passageErrors({ onError }: PassageErrorsOptions = {}): ErrorRequestHandler {
  if (onError !== undefined && typeof onError !== 'function') {
    throw new TypeError('"onError" option must be a function');
  }
  return (error, req, res, next) => {
    if (!isPassageError(error) || res.headersSent) return next(error);
    if (error.status >= 500) onError?.(error, req);
    res.status(error.status).set(error.headers).json(error);
  };
}
