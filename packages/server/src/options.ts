import { BlockList, isIP } from 'node:net';
import type { AppSettings } from './apps/settings.ts';
import type { Delivery } from './delivery/delivery.ts';
import { type RateLimits, rateLimits } from './logins/limits.ts';
import { isLoopback } from './urls.ts';

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

/** An app to make. Ids, keys and passkeys can be brought along from elsewhere. */
export interface NewApp extends AppSettings {
  /** Id to keep. Default is a random one. */
  id?: string | undefined;
  /** API key to accept, ten letters or digits, a dot, 64 more. Default is a random one. */
  apiKey?: string | undefined;
  /** Private RSA key to sign with, at least 2048 bits. Default is a new one. */
  signingKey?: JsonWebKey | undefined;
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
    rateLimits: options.rateLimits === false ? undefined : { ...rateLimits, ...options.rateLimits },
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
  const secure = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
  if (!secure || url.search || url.hash || url.username || url.password || /[?#]$/.test(text))
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
