import { createFetch, type FetchContext, FetchError } from 'ofetch';
import { name, version } from '../package.json' with { type: 'json' };
import { ApiError, UnavailableError } from './errors.ts';
import { boundedFetch } from './http.ts';
import type { ResolvedOptions } from './options.ts';

/** Settings of one call of the Management API. */
export interface CallOptions {
  /** Ends the call early. The promise then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Parts of a call. @internal */
export interface ApiCall extends CallOptions {
  query?: Readonly<Record<string, string | string[]>>;
  body?: Readonly<Record<string, unknown>>;
  /** Key that wraps the resource in the answer (docs/protocol.md §1.3); an answer without it is an error. */
  envelope?: string;
}

/** Calls the Management API. @internal */
export type CallApi = (
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: readonly string[],
  call?: ApiCall,
) => Promise<object>;

/** Limit of one call with its retry, in milliseconds. */
const callTimeout = 10_000;
/** Longest `Retry-After` that a retry waits for, in milliseconds. Longer ones are left to the caller. */
const longestWait = 2000;
const retryDelay = 100;
/** Statuses of temporary failures, which are worth one retry. */
const temporary = [408, 425, 429, 500, 502, 503, 504];

/**
 * Makes the function that calls the Management API of an app.
 *
 * A GET without an answer, or with a temporary failure, is retried once. Nothing else is retried, and redirects are
 * not followed. It takes at most 10 seconds in all.
 *
 * @see docs/protocol.md §6
 * @internal
 */
export function createApi(options: ResolvedOptions): CallApi {
  const fetch = boundedFetch(options.fetch, options.timeout);
  const headers = { authorization: `Bearer ${options.apiKey}`, 'passage-version': `${name} ${version}` };
  const headersOfBody = { ...headers, accept: 'application/json', 'content-type': 'application/json' };

  return async (method, path, call = {}) => {
    const { apiKey, apiUrl } = options;
    if (!apiKey)
      throw new TypeError('"apiKey" option or PASSAGE_API_KEY must be set to call the Management API');
    if (!apiUrl)
      throw new TypeError('"baseUrl" option or PASSAGE_BASE_URL must be set to call the Management API');
    // Callers have checked that each ID is one segment once encoded: arguments.ts.
    const url = [apiUrl, 'apps', options.appId, ...path.map(encodeURIComponent)].join('/');
    const end = performance.now() + callTimeout;
    const timeLeft = () => end - performance.now();
    const send = createFetch({
      // Not the headers that ofetch would create for each call.
      fetch: (input, { method = 'GET', body = null, signal = null } = {}) =>
        fetch(
          input,
          { method, body, signal, headers: body ? headersOfBody : headers },
          Math.min(options.timeout, timeLeft()),
        ),
    });
    const giveUpIfPointless = ({ response, options }: FetchContext) => {
      // A 429 without `Retry-After` does not say when to retry.
      const wait = waitAsked(response) ?? (response?.status === 429 ? longestWait + 1 : retryDelay);
      if (wait > longestWait || wait >= timeLeft() || call.signal?.aborted) options.retry = 0;
    };
    const sent = send.raw(url, {
      method,
      ...(call.query && { query: call.query }),
      ...(call.body && { body: call.body }),
      ...(call.signal && { signal: call.signal }),
      responseType: 'json',
      retry: method === 'GET' ? 1 : 0,
      retryStatusCodes: temporary,
      retryDelay: ({ response }) => waitAsked(response) ?? retryDelay,
      onRequestError: giveUpIfPointless,
      onResponseError: giveUpIfPointless,
    });
    let answer: unknown;
    try {
      answer = (await unlessAborted(call.signal, sent))._data;
    } catch (error) {
      throw call.signal?.aborted ? call.signal.reason : translate(error);
    }
    if (call.envelope) return unwrap(answer, call.envelope);
    // Lists have no envelope, and deletions have no body.
    return typeof answer === 'object' && answer !== null ? answer : {};
  };
}

/** Rejects as soon as the caller aborts, also between two tries. */
function unlessAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}

/** The wait that an answer asks for, in milliseconds (RFC 9110 §10.2.3). */
function waitAsked(response: Pick<Response, 'headers'> | undefined): number | undefined {
  const value = response?.headers.get('retry-after');
  if (!value) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

/** ofetch's error contains the request with its API key, so only what we read from it is passed on. */
function translate(error: unknown): unknown {
  if (!(error instanceof FetchError)) return error;
  const { response } = error;
  if (!response) return new UnavailableError('api', 1, { cause: error.cause });
  if (temporary.includes(response.status) || response.status >= 500) {
    return new UnavailableError('api', (waitAsked(response) ?? 1000) / 1000);
  }
  const body: unknown = response._data;
  return new ApiError(response.status, readText(body, 'code'), readText(body, 'error'));
}

function unwrap(answer: unknown, envelope: string): object {
  const resource = readMember(answer, envelope);
  if (typeof resource !== 'object' || resource === null) throw new ApiError(200);
  return resource;
}

function readText(body: unknown, name: string): string | undefined {
  const text = readMember(body, name);
  return typeof text === 'string' ? text : undefined;
}

function readMember(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
