/**
 * Signed requests by the Standard Webhooks scheme: HMAC-SHA256 over ID, time and body. Redirects are not followed.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 * @module
 */
import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { OptionError } from '../strict.ts';
import { isSecureUrl } from '../urls.ts';
import { DeliveryError, failureOfSocket } from './error.ts';

const urlRule =
  'must be an https URL without credentials, or http on this machine (http elsewhere in a private network: see "allowPrivateHttp")';
const secretRule = 'must be 24 to 64 random bytes in base64';
const timeoutRule = 'must be a whole number of milliseconds, 1 to 600000';

/** Members of the options of everything that posts signed requests. */
export const members = {
  url: z.string(urlRule).refine((text) => URL.canParse(text) && !new URL(text).username, urlRule),
  secret: z.string(secretRule).refine((text) => readSecret(text) !== undefined, secretRule),
  timeout: z.int(timeoutRule).min(1, timeoutRule).max(600_000, timeoutRule).default(5_000),
};

/** Where requests go, and what signs them. */
export interface Endpoint {
  url: URL;
  key: Buffer;
  /** Of each request, in milliseconds. */
  timeout: number;
  fetch?: typeof fetch | undefined;
}

interface EndpointOptions {
  url: string;
  secret: string;
  timeout: number;
  fetch?: typeof fetch | undefined;
}

/**
 * @param path Option that holds the URL.
 * @throws OptionError for http outside of this machine, or of private networks where they are allowed
 */
export function readEndpoint(given: EndpointOptions, allowPrivateHttp: boolean, path = 'url'): Endpoint {
  const url = new URL(given.url);
  if (!isSecureUrl(url, allowPrivateHttp)) throw new OptionError(path, urlRule, 'option');
  return { url, key: readSecret(given.secret) as Buffer, timeout: given.timeout, fetch: given.fetch };
}

/**
 * Posts JSON, signed. Never rejects.
 *
 * @param id The same for each try, so that receivers can drop repeated ones.
 * @param stop Ends the wait for an answer.
 */
export function postSigned(
  endpoint: Endpoint,
  id: string,
  body: string,
  stop?: AbortSignal,
): Promise<DeliveryError | undefined> {
  return call(endpoint, { method: 'POST', body, headers: sign(endpoint.key, id, body) }, stop);
}

/** Checks that the receiver is reachable, without posting. One that only takes POST refuses this request, but is reachable. */
export async function findFailure(endpoint: Endpoint): Promise<DeliveryError | undefined> {
  const failure = await call(endpoint, { method: 'HEAD' });
  return failure?.failure === 'rejected' ? undefined : failure;
}

function sign(key: Buffer, id: string, body: string): Record<string, string> {
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': `v1,${signature}`,
  };
}

async function call(
  { url, timeout, fetch: send = fetch }: Endpoint,
  init: RequestInit,
  stop?: AbortSignal,
): Promise<DeliveryError | undefined> {
  try {
    const limit = AbortSignal.timeout(timeout);
    const signal = stop ? AbortSignal.any([limit, stop]) : limit;
    const response = await send(url, { ...init, signal, redirect: 'manual' });
    await response.body?.cancel();
    if (response.ok) return undefined;
    const { status } = response;
    return new DeliveryError(status === 429 || status >= 500 ? 'unavailable' : 'rejected', status);
  } catch (error) {
    const { name, cause } = error as Error & { cause?: { code?: string } };
    if (name === 'TimeoutError') return new DeliveryError('timeout');
    return new DeliveryError(failureOfSocket(cause?.code) ?? 'unreachable');
  }
}

function readSecret(text: string): Buffer | undefined {
  const encoded = text.replace(/^whsec_/, '');
  const key = Buffer.from(encoded, 'base64');
  const good = /^[A-Za-z0-9+/]+=*$/.test(encoded) && key.length >= 24 && key.length <= 64;
  return good ? key : undefined;
}
