import { languages } from '../delivery/delivery.ts';
import type { AppSettings } from '../options.ts';
import type { StoredSettings } from '../service.ts';
import { isSecureUrl } from '../urls.ts';
import { dark, light } from './appearance.ts';

/**
 * Returns the settings of a new app that says nothing.
 *
 * @param loginUrl Path of the server's own login page, which is on the app's origin unless the app says otherwise.
 */
export function defaultSettings(authOrigin: string, loginUrl: string): StoredSettings {
  return {
    name: 'Passage',
    authOrigin,
    additionalAuthOrigins: [],
    allowedCallbackUrls: [],
    redirectUrl: '/',
    loginUrl,
    allowedIdentifier: 'both',
    requiredIdentifier: 'either',
    requireIdentifierVerification: false,
    publicSignup: true,
    profileManagement: true,
    authMethods: {
      passkeys: { enabled: true },
      otp: { enabled: true, ttl: 300 },
      magicLink: { enabled: true, ttl: 600 },
    },
    sessionTimeoutLength: 15,
    refreshEnabled: true,
    refreshAbsoluteLifetime: 2_592_000,
    refreshInactivityLifetime: 432_000,
    deviceAddMaxAge: 43_200,
    userVerification: 'preferred',
    defaultLanguage: 'en',
    userMetadataSchema: [],
    layouts: { profile: [], registration: [] },
    passageBranding: false,
    elementCustomization: light,
    elementCustomizationDark: dark,
  };
}

/**
 * Returns settings with changes made.
 *
 * @param makeId Makes the ids of metadata fields that come without one.
 * @throws TypeError when a setting makes no sense, naming it
 */
export function changeSettings(
  settings: StoredSettings,
  {
    authMethods,
    layouts,
    elementCustomization,
    elementCustomizationDark,
    userMetadataSchema,
    ...plain
  }: AppSettings,
  makeId: () => string,
): StoredSettings {
  const changed: StoredSettings = {
    ...settings,
    ...defined(plain),
    authMethods: {
      passkeys: { ...settings.authMethods.passkeys, ...defined(authMethods?.passkeys) },
      otp: { ...settings.authMethods.otp, ...defined(authMethods?.otp) },
      magicLink: { ...settings.authMethods.magicLink, ...defined(authMethods?.magicLink) },
    },
    layouts: { ...settings.layouts, ...defined(layouts) },
    elementCustomization: { ...settings.elementCustomization, ...elementCustomization },
    elementCustomizationDark: { ...settings.elementCustomizationDark, ...elementCustomizationDark },
    userMetadataSchema: userMetadataSchema
      ? userMetadataSchema.map((field) => ({
          id: field.id ?? makeId(),
          fieldName: field.fieldName,
          friendlyName: field.friendlyName ?? field.fieldName,
          type: field.type,
          registration: field.registration ?? true,
          profile: field.profile ?? true,
        }))
      : settings.userMetadataSchema,
  };
  changed.authOrigin = changed.authOrigin.replace(/\/$/, '');
  checkSettings(changed);
  return changed;
}

function checkSettings(settings: StoredSettings): void {
  const { authMethods } = settings;
  check(settings.name.trim() !== '', 'name', 'must not be empty');
  check(
    isWebOrigin(settings.authOrigin),
    'authOrigin',
    'must be an https origin, or http on this machine, without a path',
  );
  check(
    settings.additionalAuthOrigins.every(isOrigin),
    'additionalAuthOrigins',
    'must be origins without a path',
  );
  check(settings.allowedCallbackUrls.every(isUrl), 'allowedCallbackUrls', 'must be http or https URLs');
  check(isPath(settings.redirectUrl), 'redirectUrl', 'must be a path that begins with /');
  check(isPath(settings.loginUrl), 'loginUrl', 'must be a path that begins with /');
  check(whole(settings.sessionTimeoutLength, 5, 1_440), 'sessionTimeoutLength', 'must be 5 to 1440 minutes');
  check(whole(authMethods.otp.ttl, 60, 900), 'authMethods.otp.ttl', 'must be 60 to 900 seconds');
  check(
    whole(authMethods.magicLink.ttl, 60, 86_400),
    'authMethods.magicLink.ttl',
    'must be 60 to 86400 seconds',
  );
  check(
    whole(settings.refreshAbsoluteLifetime, 60),
    'refreshAbsoluteLifetime',
    'must be at least 60 seconds',
  );
  check(
    whole(settings.refreshInactivityLifetime, 60),
    'refreshInactivityLifetime',
    'must be at least 60 seconds',
  );
  check(whole(settings.deviceAddMaxAge, 60), 'deviceAddMaxAge', 'must be at least 60 seconds');
  check(
    languages.includes(settings.defaultLanguage),
    'defaultLanguage',
    'must be one of de, en, es, it, pl, pt, zh',
  );
  const names = settings.userMetadataSchema.map(({ fieldName }) => fieldName);
  check(
    names.every((name) => /^\w{1,64}$/.test(name)),
    'userMetadataSchema',
    'must have names of letters, digits and _',
  );
  check(new Set(names).size === names.length, 'userMetadataSchema', 'must not name a field twice');
}

/** True for a path on the app's own origin: `//host` and `/\host` lead elsewhere. */
export function isPath(text: string): boolean {
  return /^\/(?![/\\])/.test(text) && !/[\p{Cc}\\]/u.test(text);
}

function isWebOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return url.origin === text && isSecureUrl(url);
}

function isOrigin(text: string): boolean {
  return isWebOrigin(text) || /^android:apk-key-hash:[\w+/=-]+$/.test(text);
}

function isUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

function whole(value: number, min: number, max = Number.MAX_SAFE_INTEGER): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

function check(good: boolean, setting: string, rule: string): void {
  if (!good) throw new TypeError(`"${setting}" setting ${rule}`);
}

function defined<T extends object>(value: T | undefined): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([, entry]) => entry !== undefined)) as never;
}
