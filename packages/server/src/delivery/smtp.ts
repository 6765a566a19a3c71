import { createTransport } from 'nodemailer';
import { z } from 'zod';
import { parseStrict, strict } from '../strict.ts';
import { isLoopback, isPrivateHost } from '../urls.ts';
import type { Delivery } from './delivery.ts';
import { DeliveryError, type DeliveryFailure } from './error.ts';

const urlRule = 'must be smtp://user:password@host:port or smtps://…';
const timeoutRule = 'must be a whole number of milliseconds, 1 to 600000';

const schema = strict({
  /**
   * Mail server, `smtps://user:password@host:465` or `smtp://user:password@host:587`. With `smtp:` the connection is
   * upgraded by STARTTLS, and refused when it cannot be, unless the host is loopback. Required.
   */
  url: z.string(urlRule).refine(isMailServer, urlRule),
  /** Sender, for example `Acme <login@acme.example>`. Required. */
  from: z.string().regex(/^\P{Cc}*\S\P{Cc}*$/u, 'must be an address, without control characters'),
  /** Limit of each step of the conversation, in milliseconds. Default is `10000`. */
  timeout: z.int(timeoutRule).min(1, timeoutRule).max(600_000, timeoutRule).default(10_000),
  /** Whether mail may be sent without TLS also to private addresses and to names of a private network, as inside a cluster. Default is `false`. */
  allowPrivateHttp: z.boolean().default(false),
});

export interface SmtpOptions extends z.input<typeof schema> {}

/**
 * Returns a delivery that sends e-mail by SMTP. Text messages are refused: a phone number needs `webhook`.
 *
 * @throws TypeError when an option cannot be used
 */
export function smtp(options: SmtpOptions): Delivery {
  const { url, from, timeout, allowPrivateHttp } = parseStrict(schema, options, 'option');
  const server = new URL(url);
  const transport = createTransport({
    host: server.hostname.replace(/^\[|\]$/g, ''),
    ...(server.port && { port: Number(server.port) }),
    ...(server.username && {
      auth: { user: decodeURIComponent(server.username), pass: decodeURIComponent(server.password) },
    }),
    secure: server.protocol === 'smtps:',
    requireTLS: !isLoopback(server.hostname) && !(allowPrivateHttp && isPrivateHost(server.hostname)),
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send({ channel, to, subject, text, html }) {
      if (channel !== 'email') throw new DeliveryError('channel');
      const recipient = { name: '', address: to };
      await transport
        .sendMail({ from, to: recipient, subject, text, ...(html && { html }) })
        .catch(translate);
    },
  };
}

// No rule quotes the text: it holds the password.
function isMailServer(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && url.hostname !== '' && /^smtps?:$/.test(url.protocol);
}

// The codes of nodemailer; a socket's own (ECONNREFUSED, …) mean “unreachable”.
const failures: Record<string, DeliveryFailure> = {
  EAUTH: 'credentials',
  ENOAUTH: 'credentials',
  ETIMEDOUT: 'timeout',
  EENVELOPE: 'rejected',
  EMESSAGE: 'rejected',
};

function translate(error: { code?: string; responseCode?: number }): never {
  throw new DeliveryError(failures[error.code ?? ''] ?? 'unreachable', error.responseCode);
}
