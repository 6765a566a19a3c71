import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isSecureUrl } from '../urls.ts';
import type { Delivery, Message } from './delivery.ts';
import { DeliveryError } from './error.ts';

export interface WebhookOptions {
  /** Where to POST messages. https, or http on loopback only. */
  url: string;
  /** Key of the signature: 24 to 64 random bytes in base64, with or without the prefix `whsec_`. */
  secret: string;
  /** Limit of each try, in milliseconds. Default is 5000. */
  timeout?: number | undefined;
  /** Tries after the first one when the receiver is unreachable, slow or answers 429 or 5xx. Default is 2. */
  retries?: number | undefined;
  /** Replaces the global `fetch`. */
  fetch?: typeof fetch | undefined;
}

/**
 * Returns a delivery that posts every message, e-mail and SMS alike, to a service of yours.
 *
 * Requests are signed as Standard Webhooks has it, so its libraries can check them: HMAC-SHA256 over id, time and body. The id is the
 * same for each try of one message. Redirects are not followed.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 * @throws TypeError when an option cannot be used
 */
export function webhook(options: WebhookOptions): Delivery {
  const { timeout = 5_000, retries = 2 } = options;
  const url = readUrl(options.url);
  const key = readSecret(options.secret);
  return {
    async send(message) {
      const id = `msg_${randomUUID()}`;
      const body = JSON.stringify(payload(message));
      for (let attempt = 0; ; attempt++) {
        const failure = await post(options.fetch ?? fetch, url, timeout, body, sign(key, id, body));
        if (!failure) return;
        if (failure.failure === 'rejected' || attempt >= retries) throw failure;
        await delay(200 * 4 ** attempt);
      }
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
      url: message.url,
      expires_at: message.expiresAt.toISOString(),
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

async function post(
  send: typeof fetch,
  url: URL,
  timeout: number,
  body: string,
  headers: Record<string, string>,
): Promise<DeliveryError | undefined> {
  try {
    const signal = AbortSignal.timeout(timeout);
    const response = await send(url, { method: 'POST', body, headers, signal, redirect: 'manual' });
    await response.body?.cancel();
    if (response.ok) return undefined;
    const { status } = response;
    return new DeliveryError(status === 429 || status >= 500 ? 'unreachable' : 'rejected', status);
  } catch (error) {
    const late = error instanceof Error && error.name === 'TimeoutError';
    return new DeliveryError(late ? 'timeout' : 'unreachable');
  }
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !isSecureUrl(url) || url.username) {
    throw new TypeError('"url" option must be an https URL without credentials, or http on loopback');
  }
  return url;
}

function readSecret(text: string): Buffer {
  const encoded = text.replace(/^whsec_/, '');
  const key = Buffer.from(encoded, 'base64');
  if (!/^[A-Za-z0-9+/]+=*$/.test(encoded) || key.length < 24 || key.length > 64) {
    throw new TypeError('"secret" option must be 24 to 64 random bytes in base64');
  }
  return key;
}
