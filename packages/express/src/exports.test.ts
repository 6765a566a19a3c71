import { expect, it } from 'vitest';
import * as express from './index.ts';

it('has the public names', () => {
  expect(Object.keys(express).sort()).toMatchInlineSnapshot(`
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
      "isPassageError",
      "isPreflight",
      "passageAuth",
      "passageErrors",
      "requirePrincipal",
      "withPrincipal",
    ]
  `);
});
