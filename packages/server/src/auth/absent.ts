import { WireError } from '../errors.ts';
import { type Route, route } from '../http/routes.ts';

/** Routes of the protocol that this server does not offer. They say so, so that they do not look like a wrong URL. */
export const absentRoutes: Route[] = [
  ...(
    [
      ['GET', '/social/authorize', 'Social login'],
      ['GET', '/social/oauth2_callback', 'Social login'],
      ['POST', '/social/oauth2_callback', 'Social login'],
      ['GET', '/social/token', 'Social login'],
      ['POST', '/social/id_token', 'Social login'],
      ['GET', '/currentuser/social/link_account', 'Social login'],
      ['POST', '/register/transactions/webauthn/start', 'Passkey Flex'],
      ['POST', '/register/transactions/webauthn/finish', 'Passkey Flex'],
      ['POST', '/authenticate/transactions/webauthn/start', 'Passkey Flex'],
      ['POST', '/authenticate/transactions/webauthn/finish', 'Passkey Flex'],
      ['POST', '/analytics/passkey-readiness', 'Passkey Flex'],
    ] as const
  ).map(([method, path, feature]) => absent(method, path, feature)),
];

/** Returns a route that answers 403. */
function absent(method: Route['method'], path: string, feature: string): Route {
  const summary = `${feature}: not offered`;
  return route({ method, path, summary, access: 'public', absent: true, errors: [403] }, async () => {
    throw new WireError('operation_not_allowed', `${feature} is not offered by this server`);
  });
}
