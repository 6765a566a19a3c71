import { InvalidRequestError } from './errors.ts';
import type { AuthenticateOptions, RequestHeaders, ResolvedOptions } from './options.ts';

/**
 * Returns the token of a request, or `undefined` if it has none.
 *
 * A malformed `Authorization` header is an error even if there is a cookie.
 *
 * @param given Headers of the request. If there are none, `rawHeaders` is read instead.
 * @throws {@link InvalidRequestError} when the header is not exactly one `Bearer <token>`, when there are several
 *   cookies, or when the cookie comes from another origin
 * @see RFC 6750 §2.1, RFC 9110 §11.4
 * @internal
 */
export function findToken(
  given: RequestHeaders | null | undefined,
  { method, rawHeaders }: AuthenticateOptions,
  options: ResolvedOptions,
): string | undefined {
  const headers = isEmpty(given) ? collect(rawHeaders) : given;
  if (options.tokenSource) return requireToken(options.tokenSource(headers));
  return readBearer(headers, rawHeaders) ?? (options.cookie && readCookie(headers, options.cookie, method));
}

function requireToken(token: unknown): string | undefined {
  if (token === undefined || token === null || token === '') return undefined;
  if (typeof token !== 'string')
    throw new TypeError('"tokenSource" option must return a string, not a promise');
  return token;
}

/** Function platforms fill in only one of `headers` and `rawHeaders`. */
function isEmpty(headers: RequestHeaders | null | undefined): headers is null | undefined {
  if (!headers) return true;
  if (typeof headers.get === 'function') return false;
  for (const _ in headers) return false;
  return true;
}

function collect(rawHeaders: readonly string[] | null = []): RequestHeaders {
  const headers: Record<string, string[]> = Object.create(null);
  for (let index = 0; index + 1 < (rawHeaders?.length ?? 0); index += 2) {
    const name = String(rawHeaders?.[index]).toLowerCase();
    headers[name] = [...(headers[name] ?? []), String(rawHeaders?.[index + 1])];
  }
  return headers;
}

/**
 * Returns whether a request is a CORS preflight, which browsers send without credentials. Adapters let it pass.
 *
 * @see Fetch standard §3.3.1
 */
export function isPreflight(method: string | undefined, headers: RequestHeaders | null | undefined): boolean {
  if (method !== 'OPTIONS' || !headers) return false;
  const sends = (name: string) => readHeader(headers, name).join() !== '';
  return sends('origin') && sends('access-control-request-method');
}

function readBearer(headers: RequestHeaders, rawHeaders?: readonly string[] | null): string | undefined {
  const values = readHeader(headers, 'authorization');
  let sent = 0;
  for (let index = 0; rawHeaders && index < rawHeaders.length; index += 2) {
    if (isNamed(rawHeaders[index] as string, 'authorization')) sent += 1;
  }
  // RFC 9110 §5.3: this header may be sent once. Two of them may make two readers disagree.
  if (values.length > 1 || sent > 1) throw new InvalidRequestError('header');
  const value = values[0] ?? '';
  // RFC 9110 §11.1 and §11.4: the scheme in any case, then one or more spaces.
  const scheme = /^bearer +/i.exec(value)?.[0];
  const token = scheme && value.slice(scheme.length);
  // No regular expression: over a whole token, it takes longer than all other work for a cached token.
  if (token && !(token.includes(' ') || token.includes('\t') || token.includes(','))) return token;
  // Fetch joins repeated headers by a comma, so another scheme may come first.
  if (/(?:^|,\s*)bearer(?:\s|$)/i.test(value)) throw new InvalidRequestError('header');
  return undefined;
}

function readCookie(headers: RequestHeaders, name: string, method: string | undefined): string | undefined {
  const found = readHeader(headers, 'cookie')
    .join(';')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1).replace(/^"(.*)"$/, '$1'))
    .filter(Boolean);
  // A page on a sibling domain can add a cookie of the same name, and the two cannot be told apart.
  if (new Set(found).size > 1) throw new InvalidRequestError('cookie');
  if (found[0] !== undefined && !isSafe(method) && !isSameOrigin(headers)) {
    throw new InvalidRequestError('origin');
  }
  return found[0];
}

/** RFC 9110 §9.2.1, less TRACE. */
function isSafe(method: string | undefined): boolean {
  return method !== undefined && /^(GET|HEAD|OPTIONS)$/i.test(method);
}

/**
 * Returns whether a browser says that the request comes from a page of this origin.
 *
 * `Sec-Fetch-Site` decides where it is sent; otherwise `Origin` must name the host the request is for. A request with
 * neither counts as cross-origin.
 *
 * @see W3C Fetch Metadata §2.3, RFC 6454 §7
 */
function isSameOrigin(headers: RequestHeaders): boolean {
  const site = readHeader(headers, 'sec-fetch-site');
  if (site.length > 0) return site.every((value) => value === 'same-origin' || value === 'none');
  const [origin = '', ...others] = readHeader(headers, 'origin');
  const host = readHost(headers);
  return others.length === 0 && URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}

/** The host that a request is for; in HTTP/2 `:authority` goes before `Host` (RFC 9113 §8.3.1). */
function readHost(headers: RequestHeaders): string | undefined {
  // Fetch headers cannot have such a name, and throw.
  const authority = typeof headers.get === 'function' ? [] : readHeader(headers, ':authority');
  return [...authority, ...readHeader(headers, 'host')][0];
}

/** All values of a header, whatever the shape of the headers and the letter case of their names. */
function readHeader(headers: RequestHeaders, name: string): readonly string[] {
  if (typeof headers.get === 'function') {
    const value = headers.get(name);
    return value === null ? [] : [value];
  }
  const values: string[] = [];
  for (const key of Object.keys(headers)) {
    if (!isNamed(key, name)) continue;
    const value = (headers as Record<string, string | readonly string[] | null | undefined>)[key];
    if (typeof value === 'string') values.push(value);
    else if (value) values.push(...value);
  }
  return values;
}

function isNamed(key: string, name: string): boolean {
  return key.length === name.length && key.toLowerCase() === name;
}
