import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { parseStrict, strict } from '../strict.ts';
import type { Delivery, Message } from './delivery.ts';
import { findFailure, members, postSigned, readEndpoint } from './signed.ts';

const retriesRule = 'must be a whole number, 0 to 10';

const schema = strict({
  /** URL that receives the messages by POST. https, or http on loopback. Required. */
  url: members.url,
  /** Key of the signature: 24 to 64 random bytes in base64, with or without the prefix `whsec_`. Required. */
  secret: members.secret,
  /** Timeout of each try, in milliseconds. Default is `5000`. */
  timeout: members.timeout,
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
  const { retries, allowPrivateHttp, ...given } = parseStrict(schema, options, 'option');
  const endpoint = readEndpoint(given, allowPrivateHttp);
  return {
    async send(message) {
      const id = `msg_${randomUUID()}`;
      const body = JSON.stringify(payload(message));
      for (let attempt = 0; ; attempt++) {
        const failure = await postSigned(endpoint, id, body);
        if (!failure) return;
        if (failure.failure === 'rejected' || attempt >= retries) throw failure;
        await delay(200 * 4 ** attempt);
      }
    },
    async verify() {
      const failure = await findFailure(endpoint);
      if (failure) throw failure;
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
