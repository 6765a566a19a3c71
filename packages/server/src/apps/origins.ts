import type { App, Service } from '../service.ts';
import { isPath } from '../settings.ts';

/** True for an origin that may call the Auth API: the app's own, and the server's, where the login page is. */
export function isAllowedOrigin(service: Service, { settings }: App, origin: string): boolean {
  return (
    origin === settings.authOrigin ||
    origin === service.options.origin ||
    settings.additionalAuthOrigins.includes(origin)
  );
}

/** True where a user may be sent after login: a path, a page of the app's origins, or an exact URL of the allow-list. */
export function isAllowedRedirect({ settings }: App, target: string): boolean {
  if (isPath(target) || settings.allowedCallbackUrls.includes(target)) return true;
  if (!URL.canParse(target)) return false;
  const { origin, username, password } = new URL(target);
  const origins = [settings.authOrigin, ...settings.additionalAuthOrigins];
  return origins.includes(origin) && !username && !password;
}
