import type { InjectionToken } from '@nestjs/common';
import type { RouteOptions } from '@passage-auth/core';

/** How requests are authenticated where no decorator says otherwise. */
export type Settings = RouteOptions;

/** Token of whether a module guards every handler. */
export const globally = Symbol('passage global');

const tokens = new Map<InjectionToken, symbol>();

/** Returns the token of the settings that go with a client. */
export function settingsOf(client: InjectionToken): symbol {
  const token = tokens.get(client) ?? Symbol('passage settings');
  tokens.set(client, token);
  return token;
}

/** Whether a token is one that {@link settingsOf} made. */
export function isSettings(token: InjectionToken): boolean {
  return [...tokens.values()].includes(token as symbol);
}
