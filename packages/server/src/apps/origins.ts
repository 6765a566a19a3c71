import { WireError } from '../errors.ts';
import type { App, Service } from '../service.ts';
import { isPath, type StoredSettings } from '../settings.ts';
import { originOf } from '../urls.ts';
import { findOnlyApp, requireApp } from './apps.ts';
import { readSettings } from './settings.ts';

/** Returns whether an origin may call the Auth API: the app's own origins, and the server's, because of the login page. */
export function isAllowedOrigin(service: Service, { settings }: App, origin: string): boolean {
  return (
    origin === settings.authOrigin ||
    origin === service.options.origin ||
    settings.additionalAuthOrigins.includes(origin)
  );
}

/** Returns whether a login may redirect there: to a path, a page of the app's origins, or an exact URL of the allow-list. */
export function isAllowedRedirect({ settings }: App, target: string): boolean {
  if (isPath(target) || settings.allowedCallbackUrls.includes(target)) return true;
  if (!URL.canParse(target)) return false;
  const url = new URL(target);
  const origins = [settings.authOrigin, ...settings.additionalAuthOrigins];
  return origins.includes(originOf(url)) && !url.username && !url.password;
}

/**
 * Returns the origins of pages that may use the passkeys of a host: those of the apps whose RP ID it is.
 *
 * @param appId App to answer for, whatever the host is. Default is the only app, if there is exactly one.
 * @throws {@link WireError} `not_found`, `app_not_found`
 * @see WebAuthn Level 3 §5.11
 */
export async function readRelatedOrigins(service: Service, host: string, appId?: string): Promise<string[]> {
  const only = appId ?? (await findOnlyApp(service));
  const found =
    only === undefined ? await findSettings(service, host) : [(await requireApp(service, only)).settings];
  if (!found.length) throw new WireError('not_found');
  const origins = found.flatMap(({ authOrigin, additionalAuthOrigins }) => [
    authOrigin,
    ...additionalAuthOrigins,
  ]);
  return [...new Set(origins)].filter((origin) => /^https?:/.test(origin));
}

async function findSettings(service: Service, host: string): Promise<StoredSettings[]> {
  if (!URL.canParse(`https://${host}`)) return [];
  const { hostname } = new URL(`https://${host}`);
  const rows = await service.db
    .selectFrom('apps')
    .select('settings')
    .where('settings', 'like', `%"authOrigin":"http%://${hostname}%`)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  const settings = rows.map((row) => readSettings(row.settings));
  return settings.filter(({ authOrigin }) => new URL(authOrigin).hostname === hostname);
}
