import { checkBoolean, internalCheckNames, isPathSegment } from './arguments.ts';
import { host } from './runtime.ts';

/** Returns the token of a request from its headers, or nothing or an empty string if there is none. */
export type TokenSource = (headers: RequestHeaders) => string | null | undefined;

/** Headers of a request: Fetch `Headers`, or Node's record (`req.headers`, `req.headersDistinct`) in any letter case. */
export type RequestHeaders =
  | { get(name: string): string | null }
  | { readonly [name: string]: string | readonly string[] | undefined };

/** A JSON Web Key Set (RFC 7517 §5). */
export interface JsonWebKeySet {
  keys: ReadonlyArray<Readonly<Record<string, unknown>>>;
}

/**
 * Settings of a {@link Passage} client. All are optional; those with an environment variable are read from it if
 * omitted, once, at construction.
 */
export interface PassageOptions {
  /** Passage app ID. Tokens must contain it as `aud`. Default is `PASSAGE_APP_ID` from the environment. */
  appId?: string | undefined;
  /** Key for the Management API; not needed to verify tokens. Default is `PASSAGE_API_KEY` from the environment. */
  apiKey?: string | undefined;
  /**
   * URL of the Passage server: `https`, or `http` on loopback (see `allowPrivateHttp`). The APIs are at `/auth/v1` and `/api/v1` below it.
   * Default is `PASSAGE_BASE_URL` from the environment. There is no other default.
   */
  baseUrl?: string | undefined;
  /** URL of the Auth API, whose keys are trusted. Default is `PASSAGE_AUTH_URL`, else `${baseUrl}/auth/v1`. */
  authUrl?: string | undefined;
  /** URL of the Management API. Default is `PASSAGE_API_URL`, else `${baseUrl}/api/v1`. */
  apiUrl?: string | undefined;
  /**
   * Also accept `http` URLs inside a private network: private addresses (RFC 1918, RFC 4193), names without a dot, and
   * names under `.internal`, `.local` and `.svc`. Anyone who can read or change the traffic of that network can then read
   * the API key and replace the keys that verify tokens. Default is `PASSAGE_ALLOW_PRIVATE_HTTP` (`true` or
   * `false`) from the environment, else false.
   */
  allowPrivateHttp?: boolean | undefined;
  /** Accepted `iss`, compared exactly. Default is `PASSAGE_ISSUER`, else `${authUrl}/apps/${appId}`. */
  issuer?: string | readonly string[] | undefined;
  /**
   * Cookie that may carry the token when `Authorization` does not, for example `psg_auth_token`. The cookie has no
   * `SameSite`, so with it methods other than GET, HEAD and OPTIONS are only accepted from the same origin.
   * Default is none.
   */
  cookie?: string | undefined;
  /** Returns the token, instead of `Authorization` and cookie. Protecting it from CSRF is then your responsibility. */
  tokenSource?: TokenSource | undefined;
  /** Clock skew allowed when checking `exp` and `nbf`, in seconds, at most 60. Default is 5. */
  clockTolerance?: number | undefined;
  /** Limit of every outgoing request, headers and body, in milliseconds, at most 10000. Default is 5000. */
  timeout?: number | undefined;
  /**
   * Whether `authenticate` loads the user and refuses deleted and deactivated ones. Needs an API key. Default is
   * `PASSAGE_LOAD_USER` (`true` or `false`) from the environment, else whether there is an API key.
   */
  loadUser?: boolean | undefined;
  /** Keys of the issuer, used instead of fetching them. They are never refreshed. Default is to fetch them. */
  jwks?: JsonWebKeySet | undefined;
  /** Number of verified tokens to cache; 0 disables the cache. Default is 4096. */
  tokenCacheSize?: number | undefined;
  /** How long a loaded user is cached, in seconds; 0 disables the cache. Default is 30. */
  userCacheTtl?: number | undefined;
  /** Sends outgoing requests. Default is the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Returns the current time, in milliseconds since the epoch. Default is `Date.now`. */
  clock?: (() => number) | undefined;
}

/** How to authenticate one request. */
export interface AuthenticateOptions {
  /** Accept a request without credentials. Invalid credentials are still refused. Default is false. */
  optional?: boolean | undefined;
  /** Load the user, and refuse deleted and deactivated ones. Default is the client's `loadUser`. */
  loadUser?: boolean | undefined;
  /**
   * HTTP method of the request. Only needed with the `cookie` option: without it, the request is
   * treated as one that changes state, and must come from the same origin.
   */
  method?: string | undefined;
  /**
   * Names and values of the headers as received, Node's `req.rawHeaders`. `req.headers` holds only the first of several
   * `Authorization` headers; with these, a request that has several is refused. They replace `headers` if
   * those are missing, as on some function platforms.
   */
  rawHeaders?: readonly string[] | null | undefined;
}

/** The names of all options of a client. @internal */
export const optionNames = {
  appId: true,
  apiKey: true,
  baseUrl: true,
  authUrl: true,
  apiUrl: true,
  allowPrivateHttp: true,
  issuer: true,
  cookie: true,
  tokenSource: true,
  clockTolerance: true,
  timeout: true,
  loadUser: true,
  jwks: true,
  tokenCacheSize: true,
  userCacheTtl: true,
  fetch: true,
  clock: true,
} satisfies Record<keyof PassageOptions, true>;

const authenticateNames = {
  optional: true,
  loadUser: true,
  method: true,
  rawHeaders: true,
} satisfies Record<keyof AuthenticateOptions, true>;

/** @throws TypeError that names the option which is unknown or has the wrong type @internal */
export function checkAuthenticateOptions(options: AuthenticateOptions): void {
  internalCheckNames(options, authenticateNames);
  checkBoolean('optional', options.optional);
  checkBoolean('loadUser', options.loadUser);
  if (options.method !== undefined && typeof options.method !== 'string') {
    throw new TypeError('"method" option must be the HTTP method of the request');
  }
  if (options.rawHeaders !== undefined && !Array.isArray(options.rawHeaders)) {
    throw new TypeError('"rawHeaders" option must be a list of names and values');
  }
}

/** {@link PassageOptions} after defaults, environment and checks. @internal */
export interface ResolvedOptions {
  readonly appId: string;
  readonly apiKey: string | undefined;
  readonly authUrl: string;
  readonly apiUrl: string | undefined;
  readonly issuers: ReadonlySet<string>;
  readonly cookie: string | undefined;
  readonly tokenSource: TokenSource | undefined;
  readonly clockTolerance: number;
  readonly timeout: number;
  readonly loadUser: boolean;
  readonly jwks: JsonWebKeySet | undefined;
  readonly tokenCacheSize: number;
  readonly userCacheTtl: number;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: () => number;
}

/**
 * Reads the environment, fills in defaults and checks all options.
 *
 * @throws TypeError that names the option and its environment variable; it never quotes a value
 * @internal
 */
export function resolveOptions(options: PassageOptions): ResolvedOptions {
  internalCheckNames(options, optionNames);
  const appId = readAppId(options.appId ?? env('PASSAGE_APP_ID'));
  const apiKey = readApiKey(options.apiKey ?? env('PASSAGE_API_KEY'));
  const privateHttp = readBoolean('allowPrivateHttp', 'PASSAGE_ALLOW_PRIVATE_HTTP', options.allowPrivateHttp);
  const readUrl = urlReader(privateHttp ?? false);
  const baseUrl = readUrl('baseUrl', 'PASSAGE_BASE_URL', options.baseUrl);
  // A base URL in code wins over the finer variables of the environment, which then belong to something else.
  const environment = options.baseUrl === undefined;
  const authUrl =
    readUrl('authUrl', 'PASSAGE_AUTH_URL', options.authUrl, environment) ?? (baseUrl && `${baseUrl}/auth/v1`);
  if (!authUrl) {
    throw new TypeError('"baseUrl" option or PASSAGE_BASE_URL must be set to the URL of your Passage server');
  }
  return {
    appId,
    apiKey,
    authUrl,
    apiUrl:
      readUrl('apiUrl', 'PASSAGE_API_URL', options.apiUrl, environment) ?? (baseUrl && `${baseUrl}/api/v1`),
    issuers: readIssuers(options.issuer ?? env('PASSAGE_ISSUER') ?? `${authUrl}/apps/${appId}`),
    cookie: readCookieName(options.cookie),
    tokenSource: readFunction('tokenSource', options.tokenSource),
    clockTolerance: readNumber('clockTolerance', options.clockTolerance ?? 5, 0, 60),
    timeout: readNumber('timeout', options.timeout ?? 5000, 1, 10_000),
    loadUser: readLoadUser(options.loadUser, apiKey),
    jwks: options.jwks,
    tokenCacheSize: readNumber('tokenCacheSize', options.tokenCacheSize ?? 4096, 0, 1_000_000),
    userCacheTtl: readNumber('userCacheTtl', options.userCacheTtl ?? 30, 0, 3600),
    fetch: readFunction('fetch', options.fetch) ?? ((input, init) => globalThis.fetch(input, init)),
    clock: readFunction('clock', options.clock) ?? Date.now,
  };
}

function env(name: string): string | undefined {
  return host.process?.env?.[name] || undefined;
}

function readAppId(appId: string | undefined): string {
  if (appId === undefined) throw new TypeError('"appId" option or PASSAGE_APP_ID must be set');
  if (!isPathSegment(appId) || encodeURIComponent(appId) !== appId) {
    throw new TypeError(
      '"appId" option or PASSAGE_APP_ID must be the ID of a Passage app, as the Passage server prints it',
    );
  }
  return appId;
}

function readApiKey(apiKey: string | undefined): string | undefined {
  // Checked for what a header can carry: a line break left by reading it from a file is the usual mistake.
  if (apiKey !== undefined && (typeof apiKey !== 'string' || !/^[\x21-\x7e]+$/.test(apiKey))) {
    throw new TypeError('"apiKey" option or PASSAGE_API_KEY must be a key without spaces or line breaks');
  }
  return apiKey;
}

function urlReader(allowPrivateHttp: boolean) {
  return (
    option: string,
    variable: string,
    given: string | undefined,
    environment = true,
  ): string | undefined => {
    const value = given ?? (environment ? env(variable) : undefined);
    if (value === undefined) return undefined;
    const name = `"${option}" option or ${variable}`;
    if (typeof value !== 'string' || !URL.canParse(value)) {
      throw new TypeError(`${name} must be an absolute URL, for example https://passage.example.com`);
    }
    const url = new URL(value);
    checkProtocol(name, url, allowPrivateHttp);
    if (url.username || url.password || url.search || url.hash) {
      throw new TypeError(`${name} must not contain credentials, a query or a fragment`);
    }
    // The hosted service was retired: whoever holds its domain next could sign in as anyone.
    if (/(^|\.)passage\.id$/.test(url.hostname)) {
      throw new TypeError(
        `${name} must be your own Passage server; the hosted service at passage.id was retired`,
      );
    }
    return url.href.replace(/\/+$/, '');
  };
}

function checkProtocol(name: string, { protocol, hostname }: URL, allowPrivateHttp: boolean): void {
  if (protocol === 'https:') return;
  if (protocol !== 'http:' || !(isLoopback(hostname) || isPrivate(hostname))) {
    const places = allowPrivateHttp ? 'localhost, private addresses and private names' : 'localhost';
    throw new TypeError(`${name} must be an https URL; http is accepted for ${places} only`);
  }
  if (!allowPrivateHttp && !isLoopback(hostname)) {
    throw new TypeError(
      `${name} must be an https URL; to accept http inside a private network, set "allowPrivateHttp" or PASSAGE_ALLOW_PRIVATE_HTTP to true`,
    );
  }
}

function isLoopback(hostname: string): boolean {
  return /^(?:(?:.+\.)?localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

/** Not link-local addresses: cloud hosts serve credentials there. A host name has been normalized by `URL`. */
function isPrivate(hostname: string): boolean {
  if (hostname.startsWith('[')) return /^\[f[cd][0-9a-f]{2}:/.test(hostname);
  if (/^\d+\.\d+\.\d+\.\d+$/.test(hostname)) {
    return /^(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\./.test(hostname);
  }
  return /^[^.]+\.?$|\.(?:internal|local|svc)\.?$/.test(hostname);
}

function readIssuers(issuer: string | readonly string[]): ReadonlySet<string> {
  const issuers = Array.isArray(issuer) ? issuer : [issuer];
  if (issuers.length === 0 || issuers.some((item) => typeof item !== 'string' || item === '')) {
    throw new TypeError('"issuer" option or PASSAGE_ISSUER must be a string, or a list of strings');
  }
  return new Set(issuers);
}

function readCookieName(cookie: string | undefined): string | undefined {
  // RFC 6265 §4.1.1: a cookie name is an RFC 9110 §5.6.2 token.
  if (cookie !== undefined && !(typeof cookie === 'string' && /^[\w!#$%&'*+.^`|~-]+$/.test(cookie))) {
    throw new TypeError('"cookie" option must be the name of a cookie, for example psg_auth_token');
  }
  return cookie;
}

function readFunction<T>(option: string, value: T | undefined): T | undefined {
  if (value !== undefined && typeof value !== 'function') {
    throw new TypeError(`"${option}" option must be a function`);
  }
  return value;
}

function readNumber(option: string, value: number, minimum: number, maximum: number): number {
  if (!(typeof value === 'number' && value >= minimum && value <= maximum)) {
    throw new TypeError(`"${option}" option must be a number from ${minimum} to ${maximum}`);
  }
  return value;
}

function readBoolean(name: string, variable: string, option: boolean | undefined): boolean | undefined {
  checkBoolean(name, option);
  const value = option ?? env(variable);
  if (value === undefined) return undefined;
  if (!['true', 'false'].includes(String(value))) {
    throw new TypeError(`"${name}" option or ${variable} must be true or false`);
  }
  return String(value) === 'true';
}

function readLoadUser(option: boolean | undefined, apiKey: string | undefined): boolean {
  const loadUser = readBoolean('loadUser', 'PASSAGE_LOAD_USER', option) ?? apiKey !== undefined;
  if (loadUser && !apiKey) {
    throw new TypeError('"loadUser" needs the "apiKey" option or PASSAGE_API_KEY');
  }
  return loadUser;
}
