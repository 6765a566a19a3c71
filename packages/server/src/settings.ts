import { createPrivateKey, type JsonWebKey as NodeJwk } from 'node:crypto';
import { z } from 'zod';
import { dark, light } from './appearance.ts';
import { languages } from './delivery/delivery.ts';
import { randomText } from './storage/secrets.ts';
import { isRecord, parseStrict, strict } from './strict.ts';
import { findAuthOriginFault, findOriginFault } from './urls.ts';

/** Text that people read on one line. */
const line = (max: number) => {
  const rule = `must be 1 to ${max} characters, without control characters`;
  return z
    .string(rule)
    .max(max, rule)
    .regex(/^\P{Cc}*[^\s\p{Cc}]\P{Cc}*$/u, rule);
};

const whole = (min: number, max: number, unit: string) => {
  const rule = `must be a whole number of ${unit}, ${min} to ${max}`;
  return z.int(rule).min(min, rule).max(max, rule);
};

const seconds = (min: number, max: number) => whole(min, max, 'seconds');
const century = 3_153_600_000;

const maxAge = seconds(60, century);

const pathRule = 'must be a path that begins with /';
const path = z.string(pathRule).max(2_000, pathRule).refine(isPath, pathRule);

/** Refuses a text for the reason that is found. */
const refuse =
  (findFault: (text: string) => string | undefined) =>
  (text: string, { addIssue }: z.RefinementCtx<string>) => {
    const message = findFault(text);
    if (message) addIssue({ code: 'custom', message });
  };

const origin = z
  .string('must be an https origin, or http on this machine, without a path')
  .transform((text) => text.replace(/\/$/, ''))
  .superRefine(refuse(findAuthOriginFault));

const furtherOrigin = z.string('must be an origin without a path').superRefine(refuse(findOriginFault));

const callbackRule = 'must be an http or https URL';
const callback = z.string(callbackRule).refine(isUrl, callbackRule);

const idRule = 'must be 1 to 64 letters, digits, - and _';
const id = z.string(idRule).regex(/^[\w-]{1,64}$/, idRule);

const fieldNameRule = 'must be 1 to 64 letters, digits and _';

export const metadataField = strict({
  /** ID of the field, 1 to 64 letters, digits, `-` and `_`. Default is a random one. */
  id: id.default(() => randomText()),
  /** Key in `user_metadata`, 1 to 64 letters, digits and `_`. Required. */
  fieldName: z.string(fieldNameRule).regex(/^\w{1,64}$/, fieldNameRule),
  /** Label. Default is `fieldName`. */
  friendlyName: line(200).optional(),
  /** Kind of value: `string`, `boolean`, `integer`, `date` (text, `MM/DD/YYYY`), `phone` or `email`. Required. */
  type: z.enum(['string', 'boolean', 'integer', 'date', 'phone', 'email']),
  /** Whether visitors may set it when they register. Never put a role into a field that is open. Default is `false`. */
  registration: z.boolean().default(false),
  /** Whether users may change it. Never put a role into a field that is open. Default is `false`. */
  profile: z.boolean().default(false),
});

/** A field that users of the app may have in their metadata. */
export interface MetadataField extends z.input<typeof metadataField> {}

export type MetadataType = MetadataField['type'];

const cells = whole(0, 1_000, 'cells');
const layoutItem = strict({ id, h: cells, w: cells, x: cells, y: cells });
const layout = z.array(layoutItem).readonly().default([]);

export interface LayoutItem extends z.input<typeof layoutItem> {}

export const settings = strict({
  /** Name shown to users. Default is `Passage`. */
  name: line(100).default('Passage'),
  authOrigin: origin,
  /** Further origins that may log in: pages, `android:apk-key-hash:…`, or shells such as `capacitor://localhost`. Default is none. */
  additionalAuthOrigins: z.array(furtherOrigin).readonly().default([]),
  /** Exact URLs where users may go after login, in addition to paths and pages of the app's origins. Default is none. */
  allowedCallbackUrls: z.array(callback).readonly().default([]),
  /** Path to go to after login. Default is `/`. */
  redirectUrl: path.default('/'),
  loginUrl: path,
  /** Further paths that magic links may open if a visitor requests them with `magic_link_path`. The Management API may use any path. Default is none. */
  allowedLinkPaths: z.array(path).readonly().default([]),
  /** Identifiers of users: `email`, `phone` or `both`. Default is `both`. */
  allowedIdentifier: z.enum(['email', 'phone', 'both']).default('both'),
  /** Identifiers that the profile of the official front end asks for: `email`, `phone`, `both` or `either`. The server does not enforce it. Default is `either`. */
  requiredIdentifier: z.enum(['email', 'phone', 'both', 'either']).default('either'),
  /** Whether visitors must prove their address before they register a passkey. Default is `false`. */
  requireIdentifierVerification: z.boolean().default(false),
  /** What happens when somebody proves an address by code or link, and the user has passkeys from before any address was proven. `remove` deletes these passkeys. `keep` lets a stranger who registered the address first stay in the account. Default is `remove`. */
  unprovenPasskeys: z.enum(['remove', 'keep']).default('remove'),
  /** Whether visitors may register. If you switch it off, sign-ups in progress cannot be finished. Default is `true`. */
  publicSignup: z.boolean().default(true),
  /** Whether users may edit their profile in the official front end. Default is `true`. */
  profileManagement: z.boolean().default(true),
  /** Ways to log in. Each has `enabled` and a lifetime `ttl` in seconds: 60 to 900 for codes, 60 to 86400 for links. Default is all on, codes for 300 seconds, links for 600. */
  authMethods: strict({
    passkeys: strict({ enabled: z.boolean().default(true) }).prefault({}),
    otp: strict({ enabled: z.boolean().default(true), ttl: seconds(60, 900).default(300) }).prefault({}),
    magicLink: strict({ enabled: z.boolean().default(true), ttl: seconds(60, 86_400).default(600) }).prefault(
      {},
    ),
  }).prefault({}),
  /** Lifetime of access tokens, in minutes, 5 to 1440. Default is `15`. */
  sessionTimeoutLength: whole(5, 1_440, 'minutes').default(15),
  /** Whether a login returns a refresh token. Default is `true`. */
  refreshEnabled: z.boolean().default(true),
  /** Time after which users must log in again, in seconds (30 days). Default is `2592000`. */
  refreshAbsoluteLifetime: seconds(60, century).default(2_592_000),
  /** Time without use after which users must log in again, in seconds (5 days). Default is `432000`. */
  refreshInactivityLifetime: seconds(60, century).default(432_000),
  /** How long a used refresh token still returns the same successor, in seconds, up to 60. 0 disables reuse. Later use ends the session. Default is `10`. */
  refreshReuseInterval: seconds(0, 60).default(10),
  /** Maximum age of a login that may add or delete a passkey or change an address, in seconds (12 hours). Its old name, `deviceAddMaxAge`, still works. Default is `43200`. */
  credentialChangeMaxAge: maxAge.default(43_200),
  /** Whether passkeys must verify the user by PIN or biometrics (`required`) or may only prove presence (`preferred`). Default is `preferred`. */
  userVerification: z.enum(['required', 'preferred']).default('preferred'),
  /** Language of messages if the request names none: de, en, es, it, pl, pt, zh. Default is `en`. */
  defaultLanguage: z.enum(languages).default('en'),
  /** Fields that metadata may have. Other fields are refused. Default is none. */
  userMetadataSchema: z
    .array(
      metadataField.transform((field) => ({ ...field, friendlyName: field.friendlyName ?? field.fieldName })),
    )
    .refine(
      (fields) => new Set(fields.map(({ fieldName }) => fieldName)).size === fields.length,
      'must not name a field twice',
    )
    .readonly()
    .default([]),
  /** Order of the metadata fields in the official front end. Default is none. */
  layouts: strict({ profile: layout, registration: layout }).prefault({}),
  /** Whether the official front end shows Passage's name. Default is `false`. */
  passageBranding: z.boolean().default(false),
  /** Look of the official front end, with the names of its documentation: colors in CSS hex, sizes in pixels. Default is its own look. */
  elementCustomization: light.prefault({}),
  /** Look of the official front end in dark mode, with the same names. Default is its own look. */
  elementCustomizationDark: dark.prefault({}),
});

/** Settings that do not depend on the server's address. */
const appSettings = strict({
  ...settings.shape,
  /** Origin of the pages that log users in, for example `https://www.example.com`. Its host is the RP ID of passkeys. Default is the origin of `baseUrl`. */
  authOrigin: origin.optional(),
  /** Path of the page that magic links open. Default is the server's own login page if it is on `authOrigin`, else `/login`. */
  loginUrl: path.optional(),
});

interface OldSettings {
  /** @deprecated Use `credentialChangeMaxAge`, which wins if both are set. */
  deviceAddMaxAge?: number | undefined;
}

/** Settings of an app. Omitted settings keep their value, or get the default when the app is created. */
export interface AppSettings extends z.input<typeof appSettings>, OldSettings {}

/** Settings with all members. */
export interface StoredSettings extends z.output<typeof settings> {}

const apiKeyRule = 'must be ten letters or digits, a dot, and 64 more';

export const newApp = strict({
  /** Of a new app: ID to keep, 1 to 64 letters, digits, `-` and `_`. Default is a random one. */
  id: id.optional(),
  /** Of a new app: API key to accept, ten letters or digits, a dot, 64 more. Default is a random one. */
  apiKey: z
    .string(apiKeyRule)
    .regex(/^[A-Za-z0-9]{10}\.[A-Za-z0-9]{64}$/, apiKeyRule)
    .optional(),
  /** Of a new app: private RSA key to sign with, at least 2048 bits, as a JWK. Default is a new one. */
  signingKey: z
    .custom<JsonWebKey>(isSigningKey, 'must be a private RSA key of at least 2048 bits, as a JWK')
    .optional(),
  ...appSettings.shape,
});

/** An app to create. It may keep the ID and keys of another server. */
export interface NewApp extends z.input<typeof newApp>, OldSettings {}

/** A new app with all settings but those that the server fills in. */
export interface ResolvedApp extends z.output<typeof newApp> {}

/** @throws TypeError naming the invalid setting */
export function readNewApp(app: NewApp): ResolvedApp {
  return parseStrict(newApp, renameSettings(app), 'setting');
}

/**
 * Gives settings their present names.
 *
 * @throws TypeError naming the invalid setting as it was written
 */
export function renameSettings(given: AppSettings): Omit<AppSettings, 'deviceAddMaxAge'> {
  const { deviceAddMaxAge, ...named } = isRecord(given) ? (given as AppSettings) : {};
  if (deviceAddMaxAge === undefined) return given;
  const old = parseStrict(strict({ deviceAddMaxAge: maxAge }), { deviceAddMaxAge }, 'setting');
  return { ...named, credentialChangeMaxAge: named.credentialChangeMaxAge ?? old.deviceAddMaxAge };
}

/** True for a path on the app's own origin: `//host` and `/\host` lead to another host, and so may paths with dot segments. */
export function isPath(text: string): boolean {
  if (!text.startsWith('/') || /[\p{Cc}\\]/u.test(text)) return false;
  // Only the URL parser knows what `/.//host` and `/%2e//host` become.
  const { origin, pathname } = new URL(`https://app.invalid${text}`);
  return origin === 'https://app.invalid' && !text.startsWith('//') && !pathname.startsWith('//');
}

function isUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

/** True for a private RSA key of at least 2048 bits, as a JWK. */
function isSigningKey(jwk: unknown): boolean {
  try {
    const key = createPrivateKey({ key: jwk as NodeJwk, format: 'jwk' });
    return key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048;
  } catch {
    // The error of node:crypto may quote the key.
    return false;
  }
}
