import { expect, it } from 'vitest';
import * as server from './index.ts';

it('has the public names', () => {
  expect(Object.keys(server).sort()).toMatchInlineSnapshot(`
    [
      "ApiKeyNotFoundError",
      "AppExistsError",
      "AppNotFoundError",
      "DeliveryError",
      "LastSigningKeyError",
      "SigningKeyNotFoundError",
      "createPassageServer",
      "outbox",
      "smtp",
      "webhook",
    ]
  `);
});
