import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { OptionError, parseStrict, strict } from '../strict.ts';
import { isSecureUrl } from '../urls.ts';
import type { Delivery, Message } from './delivery.ts';
import { DeliveryError, failureOfSocket } from './error.ts';

const urlRule =
  'must be an https URL without credentials, or http on this machine (http elsewhere in a private network: see "allowPrivateHttp")';
const secretRule = 'must be 24 to 64 random bytes in base64';
const timeoutRule = 'must be a whole number of milliseconds, 1 to 600000';
const retriesRule = 'must be a whole number, 0 to 10';

const schema = strict({
  /** URL that receives the messages by POST. https, or http on loopback. Required. */
  url: z.string(urlRule).refine((text) => URL.canParse(text) && !new URL(text).username, urlRule),
  /** Key of the signature: 24 to 64 random bytes in base64, with or without the prefix `whsec_`. Required. */
  secret: z.string(secretRule).refine((text) => readSecret(text) !== undefined, secretRule),
  /** Timeout of each try, in milliseconds. Default is `5000`. */
  timeout: z.int(timeoutRule).min(1, timeoutRule).max(600_000, timeoutRule).default(5_000),
  /** Retries if the receiver is unreachable, slow, or answers 429 or 5xx. Default is `2`. */
  retries: z.int(retriesRule).min(0, retriesRule).max(10, retriesRule).default(2),
  /** Also accept an http `url` on private addresses and names of a private network, as inside a cluster. Default is `false`. */
  allowPrivateHttp: z.boolean().default(false),
  /** Replaces the global `fetch`. */
  fetch: z.custom<typeof fetch>((value) => typeof value === 'function', 'must be a function').optional(),
});

export interface WebhookOptions extends z.input<typeof schema> {}

/**
 * Returns a delivery that posts every message, email and SMS alike, to your own service.
 *
 * Requests are signed by the Standard Webhooks scheme, so its libraries can check them: HMAC-SHA256 over ID, time and body. The ID is the
 * same for each try of a message. Redirects are not followed.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 * @throws TypeError if an option is missing or invalid
 */
export function webhook(options: WebhookOptions): Delivery {
  const { timeout, retries, allowPrivateHttp, ...given } = parseStrict(schema, options, 'option');
  const url = new URL(given.url);
  if (!isSecureUrl(url, allowPrivateHttp)) throw new OptionError('url', urlRule, 'option');
  const key = readSecret(given.secret) as Buffer;
  return {
    async send(message) {
      const id = `msg_${randomUUID()}`;
      const body = JSON.stringify(payload(message));
      for (let attempt = 0; ; attempt++) {
        const failure = await call(given.fetch ?? fetch, url, timeout, {
          method: 'POST',
          body,
          headers: sign(key, id, body),
        });
        if (!failure) return;
        if (failure.failure === 'rejected' || attempt >= retries) throw failure;
        await delay(200 * 4 ** attempt);
      }
    },
    async verify() {
      // A receiver that only takes POST refuses this request, but is reachable.
      const failure = await call(given.fetch ?? fetch, url, timeout, { method: 'HEAD' });
      if (failure && failure.failure !== 'rejected') throw failure;
    },
  };
}

function payload(message: Message) {
  return {
    type: `message.${message.kind}`,
    timestamp: new Date().toISOString(),
    data: {
      app_id: message.appId,
      app_name: message.appName,
      channel: message.channel,
      to: message.to,
      language: message.language,
      code: message.code,
      account: message.account,
      url: message.url,
      expires_at: message.expiresAt?.toISOString(),
      notice: message.notice,
      subject: message.subject,
      text: message.text,
      html: message.html,
    },
  };
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
  send: typeof fetch,
  url: URL,
  timeout: number,
  init: RequestInit,
): Promise<DeliveryError | undefined> {
  try {
    const signal = AbortSignal.timeout(timeout);
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
