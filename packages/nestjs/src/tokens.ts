import type { InjectionToken } from '@nestjs/common';
import type { AdapterOptions } from '@passage-auth/core';

/** How requests are authenticated where no decorator says otherwise. */
export type Settings = Pick<AdapterOptions, 'optional' | 'loadUser'>;

const tokens = new Map<InjectionToken, symbol>();

/** Returns the token of the settings that go with a client. */
export function settingsOf(client: InjectionToken): symbol {
  const token = tokens.get(client) ?? Symbol('passage settings');
  tokens.set(client, token);
  return token;
}
