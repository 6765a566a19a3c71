import { expect, it } from 'vitest';
import * as fastify from './index.ts';

it('has the public names', () => {
  expect(Object.keys(fastify).sort()).toMatchInlineSnapshot(`
    [
      "ApiError",
      "InvalidRequestError",
      "InvalidTokenError",
      "MagicLinkChannel",
      "MagicLinkLanguage",
      "MagicLinkType",
      "Passage",
      "PassageError",
      "Principal",
      "UnauthenticatedError",
      "UnavailableError",
      "UserInactiveError",
      "UserStatus",
      "WebAuthnType",
      "authenticate",
      "default",
      "isPassageError",
      "isPreflight",
      "passage",
      "requirePrincipal",
    ]
  `);
});
