import { expect, it } from 'vitest';
import * as core from './index.ts';

it('has the public names', () => {
  expect(Object.keys(core).sort()).toMatchInlineSnapshot(`
    [
      "ApiError",
      "ForbiddenError",
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
      "explainToken",
      "internalAuthenticate",
      "internalChain",
      "internalCheckNames",
      "internalCheckRoute",
      "internalSettle",
      "isPassageError",
      "isPreflight",
      "requirePrincipal",
    ]
  `);
});
