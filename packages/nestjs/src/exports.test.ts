import { expect, it } from 'vitest';
import * as nestjs from './index.ts';

it('has the public names', () => {
  expect(Object.keys(nestjs).sort()).toMatchInlineSnapshot(`
    [
      "ApiError",
      "CurrentPrincipal",
      "CurrentUser",
      "InvalidRequestError",
      "InvalidTokenError",
      "MagicLinkChannel",
      "MagicLinkLanguage",
      "MagicLinkType",
      "OptionalAuth",
      "Passage",
      "PassageError",
      "PassageException",
      "PassageGuard",
      "PassageModule",
      "Principal",
      "Public",
      "UnauthenticatedError",
      "UnavailableError",
      "UserId",
      "UserInactiveError",
      "UserStatus",
      "WebAuthnType",
      "isPassageError",
      "isPreflight",
      "requirePrincipal",
    ]
  `);
});
