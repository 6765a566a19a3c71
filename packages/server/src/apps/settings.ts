import { findLanguage, type Language } from '../messages/language.ts';
import { isLoopback } from '../urls.ts';
import { dark, type ElementCustomization, light } from './appearance.ts';

export type MetadataType = 'string' | 'boolean' | 'integer' | 'date' | 'phone' | 'email';

/** A field that users of the app may have in their metadata. */
export interface MetadataField {
  /** Made up when left out. */
  id?: string | undefined;
  /** Key in `user_metadata`. */
  fieldName: string;
  /** Label. Default is `fieldName`. */
  friendlyName?: string | undefined;
  /** Kind of value. `date` is text, `MM/DD/YYYY`. */
  type: MetadataType;
  /** Whether visitors may set it when they register. Default is true. */
  registration?: boolean | undefined;
  /** Whether users may change it. Default is true. */
  profile?: boolean | undefined;
}

export interface LayoutItem {
  id: string;
  h: number;
  w: number;
  x: number;
  y: number;
}

/** Settings of an app. Whatever is left out keeps its value, or gets the default when the app is made. */
export interface AppSettings {
  /** Name shown to users. Default is `Passage`. */
  name?: string | undefined;
  /** Origin of the pages that log users in, for example `https://www.example.com`. Its host is the RP ID of passkeys. Default is the origin of `baseUrl`. */
  authOrigin?: string | undefined;
  /** Further origins that may log in: pages under the same RP ID, or `android:apk-key-hash:…`. Default is none. */
  additionalAuthOrigins?: readonly string[] | undefined;
  /** Where users may be sent after login, besides paths and pages of the app's origins: exact URLs. Default is none. */
  allowedCallbackUrls?: readonly string[] | undefined;
  /** Path to go to after login. Default is `/`. */
  redirectUrl?: string | undefined;
  /** Path of the page that magic links open. Default is the server's own login page if it is on `authOrigin`, else `/login`. */
  loginUrl?: string | undefined;
  /** What users are known by. Default is `both`. */
  allowedIdentifier?: 'email' | 'phone' | 'both' | undefined;
  /** What a user must have. Default is `either`. */
  requiredIdentifier?: 'email' | 'phone' | 'both' | 'either' | undefined;
  /** Whether a visitor has to prove the address before a passkey is made. Default is false. */
  requireIdentifierVerification?: boolean | undefined;
  /** Whether visitors may register. Default is true. */
  publicSignup?: boolean | undefined;
  /** Whether users see their profile in the official front end. Default is true. */
  profileManagement?: boolean | undefined;
  /** Ways to log in. Lifetimes in seconds, at least 60. Default is all three, codes for 5 minutes, links for 10. */
  authMethods?:
    | {
        passkeys?: { enabled?: boolean | undefined } | undefined;
        otp?: { enabled?: boolean | undefined; ttl?: number | undefined } | undefined;
        magicLink?: { enabled?: boolean | undefined; ttl?: number | undefined } | undefined;
      }
    | undefined;
  /** Lifetime of access tokens, in minutes, at least 5. Default is 15. */
  sessionTimeoutLength?: number | undefined;
  /** Whether a login gives a refresh token. Default is true. */
  refreshEnabled?: boolean | undefined;
  /** Time after which a user has to log in again, in seconds. Default is 2592000 (30 days). */
  refreshAbsoluteLifetime?: number | undefined;
  /** Time without use after which a user has to log in again, in seconds. Default is 432000 (5 days). */
  refreshInactivityLifetime?: number | undefined;
  /** Age of a login that may still add a passkey, in seconds. Default is 43200 (12 hours). */
  deviceAddMaxAge?: number | undefined;
  /** Whether passkeys must verify the user by PIN or biometrics (`required`) or may only prove presence. Default is `preferred`. */
  userVerification?: 'required' | 'preferred' | undefined;
  /** Language of messages when the request names none. Default is `en`. */
  defaultLanguage?: Language | undefined;
  /** Keys of user metadata. Default is none. */
  userMetadataSchema?: readonly MetadataField[] | undefined;
  /** Order of metadata fields in the official front end. */
  layouts?:
    | { profile?: readonly LayoutItem[] | undefined; registration?: readonly LayoutItem[] | undefined }
    | undefined;
  /** Whether the official front end shows Passage's name. Default is false. */
  passageBranding?: boolean | undefined;
  elementCustomization?: ElementCustomization | undefined;
  elementCustomizationDark?: ElementCustomization | undefined;
}

/** Settings with nothing left out. */
export interface StoredSettings {
  name: string;
  authOrigin: string;
  additionalAuthOrigins: readonly string[];
  allowedCallbackUrls: readonly string[];
  redirectUrl: string;
  loginUrl: string;
  allowedIdentifier: 'email' | 'phone' | 'both';
  requiredIdentifier: 'email' | 'phone' | 'both' | 'either';
  requireIdentifierVerification: boolean;
  publicSignup: boolean;
  profileManagement: boolean;
  authMethods: { passkeys: { enabled: boolean }; otp: Timed; magicLink: Timed };
  sessionTimeoutLength: number;
  refreshEnabled: boolean;
  refreshAbsoluteLifetime: number;
  refreshInactivityLifetime: number;
  deviceAddMaxAge: number;
  userVerification: 'required' | 'preferred';
  defaultLanguage: Language;
  userMetadataSchema: readonly Required<{
    [K in keyof MetadataField]: Exclude<MetadataField[K], undefined>;
  }>[];
  layouts: { profile: readonly LayoutItem[]; registration: readonly LayoutItem[] };
  passageBranding: boolean;
  elementCustomization: ElementCustomization;
  elementCustomizationDark: ElementCustomization;
}

interface Timed {
  enabled: boolean;
  ttl: number;
}

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
    findLanguage(settings.defaultLanguage) !== undefined,
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
  const { origin, protocol, hostname } = new URL(text);
  return origin === text && (protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname)));
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
