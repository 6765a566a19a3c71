/**
 * Passage for Hono.
 *
 * @module @passage-auth/hono
 */
import { type AdapterOptions, isPreflight, Passage, type Principal } from '@passage-auth/core';
import type { MiddlewareHandler } from 'hono';

export * from '@passage-auth/core';

declare module 'hono' {
  interface ContextVariableMap {
    /** Who is calling. Missing where `passageAuth()` did not run or let the request pass without credentials. */
    passage: Principal | undefined;
  }
}

/**
 * Returns a middleware that sets `c.var.passage`, or throws a `PassageError`, which Hono answers as it is.
 *
 * Checked: what `passage.auth.authenticate` checks. Not checked: a CORS preflight, which browsers send without
 * credentials, passes with `c.var.passage` unset.
 *
 * @throws TypeError for an option that is missing or cannot be meant
 * @example
 * ```ts
 * app.use(passageAuth());
 * app.get('/me', (c) => c.json(requirePrincipal(c.var).user));
 * ```
 */
export function passageAuth(options: AdapterOptions = {}): MiddlewareHandler {
  const passage = Passage.from(options);
  const { optional, loadUser } = options;
  return async (c, next) => {
    const { method, headers } = c.req.raw;
    if (!isPreflight(method, headers)) {
      const principal = await passage.auth.authenticate(headers, { optional, loadUser, method });
      if (principal) c.set('passage', principal);
    }
    await next();
  };
}
