/** Kept under a symbol, so that no decorator of the app can replace what the hook trusts. @internal */
export const settings = Symbol('@passage-auth/fastify');
