/** Under a symbol, so that no decorator of the app can take the place of what the hook trusts. @internal */
export const settings = Symbol('@passage-auth/fastify');
