/**
 * Passage for Hono.
 *
 * @module @passage-auth/hono
 */
import {
  type AdapterOptions,
  internalAuthenticate,
  isPreflight,
  Passage,
  type Principal,
} from '@passage-auth/core';
import type { MiddlewareHandler } from 'hono';

export * from '@passage-auth/core';

declare module 'hono' {
  interface ContextVariableMap {
    /** The principal. Undefined if `passageAuth()` did not run, or accepted the request without credentials. */
    passage: Principal | undefined;
  }
}

/**
 * Returns a middleware that sets `c.var.passage`, or throws a `PassageError`, which Hono's error handler answers.
 *
 * Checked: what `passage.auth.authenticate` checks, and `authorize`. Not checked: a CORS preflight, which browsers send without
 * credentials, passes with `c.var.passage` unset.
 *
 * @throws TypeError if an option is missing or invalid
 * @example
 * ```ts
 * app.use(passageAuth());
 * app.get('/me', (c) => c.json(requirePrincipal(c.var).user));
 * ```
 */
export function passageAuth(options: AdapterOptions = {}): MiddlewareHandler {
  const passage = Passage.from(options);
  const { optional, loadUser } = options;
  const authorize = options.authorize && [options.authorize];
  return async (c, next) => {
    const { method, headers } = c.req.raw;
    if (!isPreflight(method, headers)) {
      const how = { optional, loadUser, authorize, method };
      const principal = await internalAuthenticate(passage, headers, how);
      if (principal) c.set('passage', principal);
    }
    await next();
  };
}
