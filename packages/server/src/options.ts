import { BlockList, isIP } from 'node:net';
import type { Delivery, Language } from './delivery/delivery.ts';
import { isSecureUrl } from './urls.ts';

/** Gets what the server has to say; pino and console fit. Nothing secret is passed to it. */
export interface ServerLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface PassageServerOptions {
  /**
   * Public URL of the server, with the path it is mounted at, for example `https://www.example.com/passage`. Routes live below
   * its path and tokens name it as their issuer. https, or http on loopback only.
   */
  baseUrl: string | undefined;
  /** At least 32 random bytes, in base64: encrypts signing keys and peppers hashes. Keep it, for without it the database is of no use. */
  secret: string | undefined;
  /** SQLite file, `:memory:`, or a `postgres://` URL. Default is `.passage/passage.db`. */
  database?: string | undefined;
  /** App to make when the database has none. Default is an app whose `authOrigin` is the origin of `baseUrl`. */
  app?: NewApp | undefined;
  /** How codes and links reach users. Default is an outbox that keeps and prints them. */
  delivery?: Delivery | undefined;
  /**
   * `passage`: look-ups say whether an address has an account, as the official front ends need. `strict`: known and unknown
   * addresses get like answers. Default is `passage`.
   */
  enumeration?: 'passage' | 'strict' | undefined;
  /** Addresses or CIDR ranges of reverse proxies whose `X-Forwarded-For` is believed. Default is none. */
  trustedProxies?: readonly string[] | undefined;
  /** Limits that differ from the defaults, or `false` for none. */
  rateLimits?: Partial<RateLimits> | false | undefined;
  /** Gets the log. Default is pino on standard error in the `passage-server` command, else silence. */
  logger?: ServerLogger | undefined;
  /** Current time, in milliseconds since the epoch. Default is `Date.now`. */
  clock?: (() => number) | undefined;
}

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

/** Look of the official front end: wire names, as in its documentation. Colors are CSS hex, sizes pixels. */
export type ElementCustomization = Readonly<Record<string, string | number>>;

/** A user of another Passage server, by the names of the Management API. One of `email` and `phone` is required. */
export interface ImportedUser {
  /** Id to keep, 1 to 64 letters, digits, `-` and `_`. Default is a random one. */
  id?: string | undefined;
  email?: string | undefined;
  /** Default is false. */
  email_verified?: boolean | undefined;
  phone?: string | undefined;
  /** Default is false. */
  phone_verified?: boolean | undefined;
  /** At most 256 characters. Default is empty. */
  external_id?: string | undefined;
  /** Default is `pending`. */
  status?: 'active' | 'inactive' | 'pending' | undefined;
  /** Fields of the app's `userMetadataSchema`. */
  user_metadata?: Record<string, unknown> | null | undefined;
  /** ISO 8601, with an offset. Default is the time of the import. */
  created_at?: string | undefined;
}

/** An app to make. Ids, keys and passkeys can be brought along from elsewhere. */
export interface NewApp extends AppSettings {
  /** Id to keep. Default is a random one. */
  id?: string | undefined;
  /** API key to accept, ten letters or digits, a dot, 64 more. Default is a random one. */
  apiKey?: string | undefined;
  /** Private RSA key to sign with, at least 2048 bits. Default is a new one. */
  signingKey?: JsonWebKey | undefined;
}

/** How often something may be done. `window` is in seconds. */
export interface RateLimit {
  count: number;
  window: number;
}

/** Limits, each counted in the database, so that neither a restart nor a second process resets them. */
export interface RateLimits {
  /** Codes and links sent to one address of an app. */
  messagesPerAddress: RateLimit;
  /** Codes and links asked for from one IP address (of IPv6: one /64). */
  messagesPerIp: RateLimit;
  /** Wrong codes typed for one address. */
  wrongCodesPerAddress: RateLimit;
  /** Wrong codes, links and refresh tokens tried from one IP address. */
  failuresPerIp: RateLimit;
  /** Passkey ceremonies, look-ups and sign-ups begun from one IP address. */
  startsPerIp: RateLimit;
  /** Codes and links sent by one app. */
  messagesPerApp: RateLimit;
}

export interface ResolvedOptions {
  /** `baseUrl` without a slash at its end. */
  baseUrl: string;
  origin: string;
  /** Path that everything lives below: empty, or with a slash at its start and none at its end. */
  basePath: string;
  secret: Uint8Array;
  database: string;
  app: NewApp;
  delivery: Delivery | undefined;
  strict: boolean;
  trustedProxies: BlockList;
  rateLimits: RateLimits | undefined;
  logger: ServerLogger;
  clock: () => number;
}

const defaultRateLimits: RateLimits = {
  messagesPerAddress: { count: 5, window: 3_600 },
  messagesPerIp: { count: 10, window: 3_600 },
  wrongCodesPerAddress: { count: 15, window: 3_600 },
  failuresPerIp: { count: 60, window: 600 },
  startsPerIp: { count: 240, window: 60 },
  messagesPerApp: { count: 5_000, window: 3_600 },
};

const silence: ServerLogger = { info() {}, warn() {}, error() {} };

/** @throws TypeError when an option is missing or makes no sense, naming it */
export function resolveOptions(options: PassageServerOptions): ResolvedOptions {
  const url = readBaseUrl(options.baseUrl);
  const basePath = url.pathname.replace(/\/+$/, '');
  return {
    baseUrl: url.origin + basePath,
    origin: url.origin,
    basePath,
    secret: readSecret(options.secret),
    database: readDatabase(options.database || undefined),
    app: options.app ?? {},
    delivery: options.delivery,
    strict: options.enumeration === 'strict',
    trustedProxies: readProxies(options.trustedProxies ?? []),
    rateLimits: options.rateLimits === false ? undefined : { ...defaultRateLimits, ...options.rateLimits },
    logger: options.logger ?? silence,
    clock: options.clock ?? Date.now,
  };
}

/** @throws TypeError when tokens could not be trusted under it */
export function readBaseUrl(text: string | undefined): URL {
  const rule =
    '"baseUrl" option must be an https URL, or http on this machine, without query, fragment and credentials';
  if (typeof text !== 'string' || !URL.canParse(text)) throw new TypeError(rule);
  const url = new URL(text);
  if (!isSecureUrl(url) || url.search || url.hash || url.username || url.password || /[?#]$/.test(text))
    throw new TypeError(rule);
  return url;
}

/** @throws TypeError when it is too short, or not base64 */
export function readSecret(text: string | undefined): Uint8Array {
  const rule =
    '"secret" option must be at least 32 random bytes in base64, made once, for example by: openssl rand -base64 32';
  if (typeof text !== 'string' || !/^[\w+/-]+={0,2}$/.test(text.trim())) throw new TypeError(rule);
  const bytes = Buffer.from(text.trim(), 'base64');
  // Text typed by hand repeats itself; 32 random bytes with fewer than 16 different ones do not happen.
  if (bytes.length < 32 || new Set(bytes).size < 16) throw new TypeError(rule);
  return bytes;
}

/** @throws TypeError for another kind of database */
export function readDatabase(location = '.passage/passage.db'): string {
  // One letter and a colon is a drive of Windows.
  if (/^\w{2,}:/.test(location) && !/^postgres(ql)?:\/\//.test(location)) {
    throw new TypeError('"database" option must be the path of a SQLite file, or a postgres:// URL');
  }
  return location;
}

function readProxies(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', prefix] = entry.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    const bits = prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix);
    if (!isIP(address) || !Number.isInteger(bits) || bits < 0 || bits > (family === 'ipv6' ? 128 : 32)) {
      throw new TypeError('"trustedProxies" option must be IP addresses or CIDR ranges');
    }
    list.addSubnet(address, bits, family);
  }
  return list;
}
