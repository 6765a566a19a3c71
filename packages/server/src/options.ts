import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import type { Delivery } from './delivery/delivery.ts';
import { type Endpoint, members, readEndpoint } from './delivery/signed.ts';
import { type NewApp, type ResolvedApp, readNewApp } from './settings.ts';
import { isEncoded, isLocation, isSchemaInOptions } from './storage/location.ts';
import { isRecord, OptionError, parseStrict, strict } from './strict.ts';
import { isSecureUrl } from './urls.ts';

/** Receives the server's log; pino and console fit. No secret is passed to it. */
export interface ServerLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const countRule = 'must be a whole number, 1 to 1000000000';
const windowRule = 'must be a whole number of seconds, 1 to 31536000';

const limit = strict({
  count: z.int(countRule).min(1, countRule).max(1_000_000_000, countRule),
  /** In seconds. */
  window: z.int(windowRule).min(1, windowRule).max(31_536_000, windowRule),
});

/** How often something may be done. `window` is in seconds. */
export interface RateLimit extends z.output<typeof limit> {}

export const limits = strict({
  /** Codes and links sent to one address of an app. Default is 5 in 3600 seconds. */
  messagesPerAddress: limit.default({ count: 5, window: 3_600 }),
  /** Codes and links requested from one IP address. Default is 30 in 3600 seconds. */
  messagesPerIp: limit.default({ count: 30, window: 3_600 }),
  /** Wrong codes typed for one address. Default is 15 in 3600 seconds. */
  wrongCodesPerAddress: limit.default({ count: 15, window: 3_600 }),
  /** Wrong codes typed for all addresses of an app. Default is 1000 in 3600 seconds. */
  wrongCodesPerApp: limit.default({ count: 1_000, window: 3_600 }),
  /** Wrong codes, links and refresh tokens tried from one IP address. Default is 60 in 600 seconds. */
  failuresPerIp: limit.default({ count: 60, window: 600 }),
  /** Passkey ceremonies, look-ups and sign-ups begun from one IP address. Default is 240 in 60 seconds. */
  startsPerIp: limit.default({ count: 240, window: 60 }),
  /** Wrong API keys sent from one IP address. The right key is always accepted. Default is 60 in 600 seconds. */
  wrongKeysPerIp: limit.default({ count: 60, window: 600 }),
  /** Codes and links sent by one app, except those of its back end. Default is 5000 in 3600 seconds. */
  messagesPerApp: limit.default({ count: 5_000, window: 3_600 }),
  /** Notices sent to one user. Also, notices that one IP address causes for users without a proven address. Default is 10 in 86400 seconds. */
  notices: limit.default({ count: 10, window: 86_400 }),
});

/** Limits, counted in the database, so that restarts and further processes do not reset them. */
export interface RateLimits extends z.output<typeof limits> {}

/** A user of another Passage server, by the names of the Management API. One of `email` and `phone` is required. */
export interface ImportedUser {
  /** ID to keep, 1 to 64 letters, digits, `-` and `_`. Default is a random one. */
  id?: string | undefined;
  email?: string | undefined;
  /** Default is false. */
  email_verified?: boolean | undefined;
  phone?: string | undefined;
  /** Default is false. */
  phone_verified?: boolean | undefined;
  /** At most 256 characters. Default is empty. */
  external_id?: string | undefined;
  /** Default is `active`. */
  status?: 'active' | 'inactive' | 'pending' | undefined;
  /** Fields of the app's `userMetadataSchema`. */
  user_metadata?: Record<string, unknown> | null | undefined;
  /** ISO 8601, with an offset. Default is the time of the import. */
  created_at?: string | undefined;
}

const isFunction = (value: unknown) => typeof value === 'function';
const has = (value: unknown, ...names: string[]) =>
  isRecord(value) && names.every((name) => isFunction(value[name]));

/** An option that must be set, and yet may be read from an environment that lacks it. */
const required = <Output>(schema: z.ZodType<Output, string>) =>
  schema as z.ZodType<Output, string | undefined>;

const baseUrlRule =
  'must be an https URL, or http on this machine, without query, fragment and credentials (http elsewhere in a private network: see "allowPrivateHttp")';
const secretRule =
  'must be at least 32 random bytes in base64, made once, for example by: openssl rand -base64 32';
const databaseRule =
  'must be the path of a SQLite file, or a postgres:// URL, without quotes and blanks around it';
const daysRule = 'must be a whole number of days, 1 to 3650';
const encodedRule =
  'must be a valid postgres:// URL: percent-encode special characters of the user and the password, for example # as %23, % as %25, @ as %40 and / as %2F';
const schemaRule =
  'must choose the schema by ?options=-csearch_path%3Dname, not by a parameter of its own, which PostgreSQL ignores';

export const options = strict({
  /**
   * Public URL of the server, with the path it is mounted at, for example `https://www.example.com/passage`. Its path
   * is the base of all routes, and tokens contain it in their issuer. https, or http on loopback. Required.
   */
  baseUrl: required(z.string(baseUrlRule).refine(isBaseUrl, baseUrlRule)),
  /** At least 32 random bytes, in base64. It encrypts signing keys and peppers hashes. Keep it safe: the database is unusable without it. Required. */
  secret: required(z.string(secretRule).transform(readBytes).refine(isRandom, secretRule)),
  /** SQLite file, `:memory:`, or a `postgres://` URL. Default is `.passage/passage.db`. */
  database: z
    .string(databaseRule)
    .refine(isLocation, { error: databaseRule, abort: true })
    .refine(isEncoded, { error: encodedRule, abort: true })
    .refine(isSchemaInOptions, schemaRule)
    .default('.passage/passage.db'),
  /** App to create if the database has none. Default is an app whose `authOrigin` is the origin of `baseUrl`. */
  app: z.custom<NewApp>(isRecord, 'must be an object').optional(),
  /** How codes and links reach users: `smtp()`, `webhook()`, `outbox()`, or your own `send`. Default is an outbox that keeps and prints them. */
  delivery: z
    .custom<Delivery>(
      (value) => has(value, 'send'),
      'must be smtp(), webhook(), outbox() or an object with send()',
    )
    .optional(),
  /**
   * Service that receives events of users: `{ url, secret, timeout }`, as for `webhook()`. See [event webhook](#event-webhook).
   * Default is none.
   */
  eventWebhook: strict({ url: members.url, secret: members.secret, timeout: members.timeout }).optional(),
  /**
   * `passage`: look-ups say whether an address has an account, as the official front ends need. `strict`: known and unknown
   * addresses get the same answers. Default is `passage`.
   */
  enumeration: z.enum(['passage', 'strict']).default('passage'),
  /** Addresses or CIDR ranges of reverse proxies whose `X-Forwarded-For` is trusted. Default is none. */
  trustedProxies: z
    .array(
      z.string().refine((entry) => readSubnet(entry) !== undefined, 'must be an IP address or a CIDR range'),
    )
    .readonly()
    .default([]),
  /** Limits that override the defaults, or `false` for none. Default is the table below. */
  rateLimits: z.union([z.literal(false), limits], 'must be false or an object').prefault({}),
  /**
   * Also accept an http `baseUrl` on private addresses, on names without a dot, and on names under `.internal`, `.local` and `.svc`,
   * as inside a cluster. Anyone who can read the traffic of that network can then take over sessions. Default is `false`.
   */
  allowPrivateHttp: z.boolean().default(false),
  /** Age at which the server replaces signing keys, in days, 1 to 3650. Tokens of the old key stay valid until they expire. Default is none. */
  signingKeyRotation: z.int(daysRule).min(1, daysRule).max(3_650, daysRule).optional(),
  /** Whether `GET /metrics` is answered. The variable is `off`, or a port that serves only metrics. Default is `true`. */
  metrics: z.boolean().default(true),
  /** How long the audit log keeps its entries, in days. Default is `365`. */
  auditRetention: z.int(daysRule).min(1, daysRule).max(3_650, daysRule).default(365),
  /** Receives the log by `info`, `warn` and `error`, as pino and console do. Default is pino on standard error in the `passage-server` command, else silence. */
  logger: z
    .custom<ServerLogger>(
      (value) => has(value, 'info', 'warn', 'error'),
      'must have info(), warn() and error()',
    )
    .default({ info() {}, warn() {}, error() {} }),
  /** Current time, in milliseconds since the epoch. Default is `Date.now`. */
  clock: z.custom<() => number>(isFunction, 'must be a function').default(() => Date.now),
});

export interface PassageServerOptions extends z.input<typeof options> {}

export interface ResolvedOptions
  extends Omit<z.output<typeof options>, 'app' | 'eventWebhook' | 'rateLimits' | 'trustedProxies'> {
  /** `baseUrl` without a slash at its end. */
  baseUrl: string;
  origin: string;
  /** Path that everything lives below: empty, or with a slash at its start and none at its end. */
  basePath: string;
  app: ResolvedApp;
  eventWebhook: Endpoint | undefined;
  strict: boolean;
  trustedProxies: BlockList;
  rateLimits: RateLimits | undefined;
}

/** @throws TypeError that names the missing or invalid option */
export function resolveOptions(given: PassageServerOptions): ResolvedOptions {
  const resolved = parseStrict(options, given, 'option');
  const url = new URL(resolved.baseUrl);
  if (!isSecureUrl(url, resolved.allowPrivateHttp)) throw new OptionError('baseUrl', baseUrlRule, 'option');
  const basePath = url.pathname.replace(/\/+$/, '');
  return {
    ...resolved,
    baseUrl: url.origin + basePath,
    origin: url.origin,
    basePath,
    app: readNewApp(resolved.app ?? {}),
    eventWebhook:
      resolved.eventWebhook &&
      readEndpoint(resolved.eventWebhook, resolved.allowPrivateHttp, 'eventWebhook.url'),
    strict: resolved.enumeration === 'strict',
    trustedProxies: readProxies(resolved.trustedProxies),
    rateLimits: resolved.rateLimits || undefined,
  };
}

/** @throws TypeError if it is too short or not base64 */
export function readSecret(text: string | undefined): Uint8Array {
  return parseStrict(options.pick({ secret: true }), { secret: text }, 'option').secret;
}

function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return /^https?:$/.test(url.protocol) && !/[?#]/.test(text) && !url.username && !url.password;
}

function readBytes(text: string): Uint8Array {
  return /^[\w+/-]+={0,2}$/.test(text.trim()) ? Buffer.from(text.trim(), 'base64') : new Uint8Array();
}

/** Text typed by hand repeats itself; 32 random bytes with fewer than 16 different ones do not happen. */
function isRandom(bytes: Uint8Array): boolean {
  return bytes.length >= 32 && new Set(bytes).size >= 16;
}

function readSubnet(entry: string): [address: string, bits: number, family: 'ipv4' | 'ipv6'] | undefined {
  const [, address = '', prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  const most = family === 'ipv6' ? 128 : 32;
  const bits = prefix === undefined ? most : Number(prefix);
  return isIP(address) && bits <= most ? [address, bits, family] : undefined;
}

function readProxies(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const subnet = readSubnet(entry);
    if (subnet) list.addSubnet(...subnet);
  }
  return list;
}
