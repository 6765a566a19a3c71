import { createTransport } from 'nodemailer';
import { isLoopback } from '../urls.ts';
import type { Delivery } from './delivery.ts';
import { DeliveryError, type DeliveryFailure } from './error.ts';

export interface SmtpOptions {
  /**
   * Mail server, `smtps://user:password@host:465` or `smtp://user:password@host:587`. With `smtp:` the connection is
   * upgraded by STARTTLS, and refused when it cannot be, unless the host is loopback.
   */
  url: string;
  /** Sender, for example `Acme <login@acme.example>`. */
  from: string;
  /** Limit of each step of the conversation, in milliseconds. Default is 10000. */
  timeout?: number | undefined;
}

/**
 * Returns a delivery that sends e-mail by SMTP. Text messages are refused: a phone number needs `webhook`.
 *
 * @throws TypeError when an option cannot be used
 */
export function smtp({ url, from, timeout = 10_000 }: SmtpOptions): Delivery {
  const server = readUrl(url);
  if (!from) throw new TypeError('"from" option must be set');
  const transport = createTransport({
    host: server.hostname.replace(/^\[|\]$/g, ''),
    ...(server.port && { port: Number(server.port) }),
    ...(server.username && {
      auth: { user: decodeURIComponent(server.username), pass: decodeURIComponent(server.password) },
    }),
    secure: server.protocol === 'smtps:',
    requireTLS: !isLoopback(server.hostname),
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

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // The text is not quoted: it holds the password.
  if (!url?.hostname || !/^smtps?:$/.test(url.protocol)) {
    throw new TypeError('"url" option must be smtp://user:password@host:port or smtps://…');
  }
  return url;
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
