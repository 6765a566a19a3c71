import { hostname } from 'node:os';
import type { Transporter } from 'nodemailer';
import { z } from 'zod';
import { OptionError, parseStrict, strict } from '../strict.ts';
import { isLoopback, isPrivateHost } from '../urls.ts';
import type { Delivery } from './delivery.ts';
import { DeliveryError, type DeliveryFailure, failureOfSocket } from './error.ts';

const urlRule =
  'must be smtp://user:password@host:port or smtps://…, with special characters of user and password percent-encoded (# is %23, % is %25, / is %2F, @ is %40)';
const parametersRule = 'must have no parameters but name and requireTLS (true or false), each once';
const nameRule = 'must be a host name or an address literal, such as mail.example.com';
const timeoutRule = 'must be a whole number of milliseconds, 1 to 600000';

const schema = strict({
  /**
   * Mail server, `smtps://user:password@host:465` or `smtp://user:password@host:587`. With `smtp:` the connection is
   * upgraded by STARTTLS, and fails if that is impossible, unless the host is loopback. The parameters `?name=` and
   * `?requireTLS=` are read; `requireTLS=false` sends without TLS, to loopback only. Required.
   */
  url: z.string(urlRule).refine(isMailServer, urlRule).refine(hasKnownParameters, parametersRule),
  /** Sender, for example `Acme <login@acme.example>`. Required. */
  from: z.string().regex(/^\P{Cc}*\S\P{Cc}*$/u, 'must be an address, without control characters'),
  /**
   * Host name in the greeting. Many mail servers require a full one. Default is `?name=` of `url`, else
   * the name of this machine if it has a dot, else the domain of `from`.
   */
  name: z
    .string()
    .regex(/^(?:[a-z\d-]+(?:\.[a-z\d-]+)*|\[[\da-f.:]+\])$/i, nameRule)
    .optional(),
  /** Limit of each step of the conversation, in milliseconds. Default is `10000`. */
  timeout: z.int(timeoutRule).min(1, timeoutRule).max(600_000, timeoutRule).default(10_000),
  /** Also send mail without TLS to private addresses and names of a private network, as inside a cluster. Default is `false`. */
  allowPrivateHttp: z.boolean().default(false),
});

export interface SmtpOptions extends z.input<typeof schema> {}

/**
 * Returns a delivery that sends email by SMTP. It rejects text messages: use `webhook` for phone numbers.
 *
 * @throws TypeError if an option is missing or invalid
 */
export function smtp(options: SmtpOptions): Delivery {
  const { url, from, name, timeout, allowPrivateHttp } = parseStrict(schema, options, 'option');
  const server = new URL(url);
  const configuration = {
    host: server.hostname.replace(/^\[|\]$/g, ''),
    ...(server.port && { port: Number(server.port) }),
    ...(server.username && {
      auth: { user: decodeURIComponent(server.username), pass: decodeURIComponent(server.password) },
    }),
    name: name ?? server.searchParams.get('name') ?? ownName(from),
    secure: server.protocol === 'smtps:',
    ...encryption(server, allowPrivateHttp),
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
  // Loaded with the first email, so that the start is fast.
  let transport: Promise<Transporter> | undefined;
  const open = async () => (await import('nodemailer')).createTransport(configuration);
  return {
    async send({ channel, to, subject, text, html }) {
      if (channel !== 'email') throw new DeliveryError('channel');
      const recipient = { name: '', address: to };
      transport ??= open();
      await (await transport)
        .sendMail({ from, to: recipient, subject, text, ...(html && { html }) })
        .catch(translate);
    },
    async verify() {
      transport ??= open();
      await (await transport).verify().catch(translate);
    },
  };
}

// No error quotes the URL: it contains the password.
function isMailServer(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || url.hostname === '' || !/^smtps?:$/.test(url.protocol)) return false;
  // Text after # or / is part of a password that was not encoded.
  if (url.hash || !/^\/?$/.test(url.pathname)) return false;
  try {
    decodeURIComponent(url.username + url.password);
    return true;
  } catch {
    return false;
  }
}

function hasKnownParameters(text: string): boolean {
  if (!URL.canParse(text)) return true;
  const parameters = [...new URL(text).searchParams];
  const names = parameters.map(([name]) => name);
  return (
    new Set(names).size === names.length &&
    parameters.every(([name, value]) =>
      name === 'requireTLS' ? /^(?:true|false)$/.test(value) : name === 'name' && value !== '',
    )
  );
}

/** @throws {@link OptionError} if mail would cross a public network without TLS */
function encryption(server: URL, allowPrivateHttp: boolean) {
  const plain = isLoopback(server.hostname) || (allowPrivateHttp && isPrivateHost(server.hostname));
  const wanted = server.searchParams.get('requireTLS');
  if (wanted === 'false' && !plain && server.protocol === 'smtp:') {
    throw new OptionError(
      'url',
      'must not have requireTLS=false, except for loopback, and for private networks with "allowPrivateHttp": remove it',
      'option',
    );
  }
  return wanted === 'false' ? { ignoreTLS: true } : { requireTLS: wanted === 'true' || !plain };
}

/** RFC 5321 §4.1.4: the greeting is a full host name. Containers have none. */
function ownName(from: string): string {
  const machine = hostname();
  if (machine.includes('.')) return machine;
  return /@([a-z\d.-]+)/i.exec(from)?.[1] ?? machine;
}

// Codes of nodemailer. With any other code, the server was not reached.
const failures: Record<string, DeliveryFailure> = {
  EAUTH: 'credentials',
  ENOAUTH: 'credentials',
  ETIMEDOUT: 'timeout',
  EENVELOPE: 'rejected',
  EMESSAGE: 'rejected',
  ETLS: 'encryption',
};

interface SmtpFailure {
  code?: string;
  /** Code of the socket, which nodemailer replaces by its own. */
  originalCode?: string;
  command?: string;
  responseCode?: number;
}

function translate(error: SmtpFailure): never {
  throw new DeliveryError(failureOf(error), error.responseCode);
}

function failureOf({ code = '', originalCode = '', command, responseCode }: SmtpFailure): DeliveryFailure {
  const failure = failureOfSocket(originalCode);
  if (failure) return failure;
  if (responseCode !== undefined && /^(?:EHLO|HELO|CONN)$/.test(command ?? '')) return 'greeting';
  return failures[code] ?? 'unreachable';
}
