import { smtp } from './delivery/smtp.ts';
import { webhook } from './delivery/webhook.ts';
import { type PassageServerOptions, type RateLimits, readSecret, resolveOptions } from './options.ts';
import type { NewApp } from './settings.ts';
import { OptionError, suggest } from './strict.ts';

/** Configuration of the command. */
export interface Environment {
  /** Checked. Without `app` and `logger`. */
  options: PassageServerOptions;
  listen: { port: number; host: string | undefined };
  /** Port for metrics alone. */
  metricsPort: number | undefined;
  logLevel: string;
  /** Warnings about unknown variables, to log at startup. */
  warnings: readonly string[];
  /**
   * App to create.
   *
   * @param ids Whether to use `PASSAGE_APP_ID` and `PASSAGE_API_KEY`, which back ends read too.
   * @throws TypeError naming the variable that is wrong
   */
  app(ids: boolean): NewApp;
  /** @throws TypeError when `PASSAGE_NEXT_SECRET` is not set */
  nextSecret(): string;
}

/** Variables that set a rate limit, as `30/3600`: count, and window in seconds. */
export const limitVariables: Readonly<Record<keyof RateLimits, string>> = {
  messagesPerAddress: 'PASSAGE_RATE_LIMIT_MESSAGES_PER_ADDRESS',
  messagesPerIp: 'PASSAGE_RATE_LIMIT_MESSAGES_PER_IP',
  wrongCodesPerAddress: 'PASSAGE_RATE_LIMIT_WRONG_CODES_PER_ADDRESS',
  wrongCodesPerApp: 'PASSAGE_RATE_LIMIT_WRONG_CODES_PER_APP',
  failuresPerIp: 'PASSAGE_RATE_LIMIT_FAILURES_PER_IP',
  startsPerIp: 'PASSAGE_RATE_LIMIT_STARTS_PER_IP',
  wrongKeysPerIp: 'PASSAGE_RATE_LIMIT_WRONG_KEYS_PER_IP',
  messagesPerApp: 'PASSAGE_RATE_LIMIT_MESSAGES_PER_APP',
  notices: 'PASSAGE_RATE_LIMIT_NOTICES',
};

/** Variables, by the option or setting of the first app that they set. */
export const optionVariables: Readonly<Record<string, string>> = {
  baseUrl: 'PASSAGE_BASE_URL',
  secret: 'PASSAGE_SECRET',
  database: 'DATABASE_URL',
  enumeration: 'PASSAGE_ENUMERATION',
  trustedProxies: 'PASSAGE_TRUSTED_PROXIES',
  allowPrivateHttp: 'PASSAGE_ALLOW_PRIVATE_HTTP',
  signingKeyRotation: 'PASSAGE_SIGNING_KEY_ROTATION',
  metrics: 'PASSAGE_METRICS_PORT',
  auditRetention: 'PASSAGE_AUDIT_RETENTION',
  'eventWebhook.url': 'PASSAGE_EVENT_WEBHOOK_URL',
  'eventWebhook.secret': 'PASSAGE_EVENT_WEBHOOK_SECRET',
  id: 'PASSAGE_APP_ID',
  apiKey: 'PASSAGE_API_KEY',
  name: 'PASSAGE_APP_NAME',
  authOrigin: 'PASSAGE_AUTH_ORIGIN',
};

/** Variables whose value may be in a file: the variable with the ending `_FILE` names it. */
const secrets = [
  'PASSAGE_SECRET',
  'PASSAGE_NEXT_SECRET',
  'PASSAGE_SMTP_URL',
  'PASSAGE_WEBHOOK_SECRET',
  'PASSAGE_EVENT_WEBHOOK_SECRET',
];

const knownVariables: readonly string[] = [
  ...Object.values(optionVariables),
  ...Object.values(limitVariables),
  ...secrets.flatMap((name) => [name, `${name}_FILE`]),
  'PASSAGE_SMTP_FROM',
  'PASSAGE_SMTP_NAME',
  'PASSAGE_WEBHOOK_URL',
  'PORT',
  'HOST',
  'LOG_LEVEL',
];

/** Variables that the apps' back ends read, often from the same file. */
const foreign = /^PASSAGE_(AUTH_URL|API_URL|ISSUER|LOAD_USER)$/;

type Variables = Readonly<Record<string, string | undefined>>;
type ReadFile = (path: string) => string;

/**
 * Reads the configuration of the command.
 *
 * @throws TypeError naming the variable, what is wrong, and what to do
 */
export function readEnvironment(variables: Variables, readFile: ReadFile): Environment {
  for (const name of knownVariables) checkClean(name, variables[name]);
  const warnings = findUnknown(variables);
  const secret = readHidden(variables, 'PASSAGE_SECRET', readFile);
  if (!secret) {
    throw new TypeError(
      'PASSAGE_SECRET or PASSAGE_SECRET_FILE must be set to 32 random bytes in base64. Create them once: openssl rand -base64 32',
    );
  }
  const baseUrl = variables.PASSAGE_BASE_URL;
  if (!baseUrl) {
    throw new TypeError(
      'PASSAGE_BASE_URL must be set to the public URL, for example https://auth.example.com',
    );
  }
  const metrics = variables.PASSAGE_METRICS_PORT;
  const metricsPort = metrics && metrics !== 'off' ? readPort(metrics, 'PASSAGE_METRICS_PORT') : undefined;
  const options: PassageServerOptions = {
    baseUrl,
    secret,
    database: variables.DATABASE_URL || undefined,
    enumeration: (variables.PASSAGE_ENUMERATION || undefined) as PassageServerOptions['enumeration'],
    trustedProxies: variables.PASSAGE_TRUSTED_PROXIES?.split(/[\s,]+/).filter(Boolean),
    rateLimits: readLimits(variables),
    allowPrivateHttp: readFlag(variables, 'PASSAGE_ALLOW_PRIVATE_HTTP'),
    signingKeyRotation: readDays(variables.PASSAGE_SIGNING_KEY_ROTATION),
    metrics: !metrics,
    auditRetention: readDays(variables.PASSAGE_AUDIT_RETENTION),
    delivery: readDelivery(variables, readFile),
    eventWebhook: readEventWebhook(variables, readFile),
  };
  named(optionVariables, () => resolveOptions(options));
  return {
    options,
    listen: { port: readPort(variables.PORT || '3000'), host: variables.HOST || undefined },
    metricsPort,
    logLevel: readLevel(variables.LOG_LEVEL || 'info'),
    warnings,
    app(ids) {
      const app: NewApp = {
        id: (ids && variables.PASSAGE_APP_ID) || undefined,
        apiKey: (ids && variables.PASSAGE_API_KEY) || undefined,
        name: variables.PASSAGE_APP_NAME || undefined,
        authOrigin: variables.PASSAGE_AUTH_ORIGIN || undefined,
      };
      named(optionVariables, () => resolveOptions({ ...options, app }));
      return app;
    },
    nextSecret() {
      const next = readHidden(variables, 'PASSAGE_NEXT_SECRET', readFile);
      if (!next)
        throw new TypeError('PASSAGE_NEXT_SECRET or PASSAGE_NEXT_SECRET_FILE must be set to the new secret');
      named({ secret: 'PASSAGE_NEXT_SECRET' }, () => readSecret(next));
      return next;
    },
  };
}

/** Env files that no shell reads keep quotes and spaces that a shell removes. */
function checkClean(name: string, value = ''): void {
  if (/^(["'`]).*\1$|^“.*”$/s.test(value))
    throw new TypeError(`${name} has quotes around its value: remove them`);
  if (/[\r\n]$/.test(value)) {
    throw new TypeError(`${name} ends with a line break: remove it, and save env files with LF line ends`);
  }
  if (value !== value.trim()) throw new TypeError(`${name} has spaces around its value: remove them`);
  if (/\p{Cc}/u.test(value)) throw new TypeError(`${name} contains control characters: remove them`);
}

/**
 * Returns a warning for each unknown variable: it may belong to another program.
 *
 * @throws TypeError for a variable that is one letter off
 */
function findUnknown(variables: Variables): string[] {
  const unknown = Object.keys(variables).filter(
    (name) => /^PASSAGE_/i.test(name) && !knownVariables.includes(name) && !foreign.test(name),
  );
  return unknown.map((name) => {
    const hint = suggest(name, knownVariables);
    if (hint.startsWith('did')) throw new TypeError(`${name} is unknown: ${hint}`);
    return `${name} is unknown and ignored: see docs/server.md for the variables`;
  });
}

function readLimits(variables: Variables): Partial<RateLimits> {
  const limits: Partial<RateLimits> = {};
  for (const [name, variable] of Object.entries(limitVariables) as [keyof RateLimits, string][]) {
    const value = variables[variable];
    if (!value) continue;
    const [, count = '0', window = '0'] = /^(\d{1,9})\/(\d{1,8})$/.exec(value) ?? [];
    if (!Number(count) || !Number(window)) {
      throw new TypeError(`${variable} must be a count and a number of seconds, for example 30/3600`);
    }
    limits[name] = { count: Number(count), window: Number(window) };
  }
  return limits;
}

function readDelivery(variables: Variables, readFile: ReadFile): PassageServerOptions['delivery'] {
  const allowPrivateHttp = readFlag(variables, 'PASSAGE_ALLOW_PRIVATE_HTTP');
  const url = readHidden(variables, 'PASSAGE_SMTP_URL', readFile);
  const hook = variables.PASSAGE_WEBHOOK_URL;
  if (url && hook)
    throw new TypeError('PASSAGE_SMTP_URL and PASSAGE_WEBHOOK_URL exclude each other: set one of them');
  if (url) {
    const from = variables.PASSAGE_SMTP_FROM;
    if (!from)
      throw new TypeError(
        'PASSAGE_SMTP_FROM must be set to the sender, for example Acme <login@acme.example>',
      );
    return named({ url: 'PASSAGE_SMTP_URL', from: 'PASSAGE_SMTP_FROM', name: 'PASSAGE_SMTP_NAME' }, () =>
      smtp({ url, from, allowPrivateHttp, name: variables.PASSAGE_SMTP_NAME || undefined }),
    );
  }
  if (!hook) return undefined;
  const secret = readHidden(variables, 'PASSAGE_WEBHOOK_SECRET', readFile);
  if (!secret) throw new TypeError('PASSAGE_WEBHOOK_SECRET must be set to the key that signs messages');
  return named({ url: 'PASSAGE_WEBHOOK_URL', secret: 'PASSAGE_WEBHOOK_SECRET' }, () =>
    webhook({ url: hook, secret, allowPrivateHttp }),
  );
}

function readEventWebhook(variables: Variables, readFile: ReadFile): PassageServerOptions['eventWebhook'] {
  const url = variables.PASSAGE_EVENT_WEBHOOK_URL;
  const secret = readHidden(variables, 'PASSAGE_EVENT_WEBHOOK_SECRET', readFile);
  if (!url && !secret) return undefined;
  if (!url) throw new TypeError('PASSAGE_EVENT_WEBHOOK_URL must be set to the URL that receives events');
  if (!secret) throw new TypeError('PASSAGE_EVENT_WEBHOOK_SECRET must be set to the key that signs events');
  return { url, secret };
}

function readFlag(variables: Variables, name: string): boolean | undefined {
  const value = variables[name];
  if (value && value !== 'true' && value !== 'false') throw new TypeError(`${name} must be true or false`);
  return value ? value === 'true' : undefined;
}

/** @throws TypeError if it is not a port */
export function readPort(text: string, name = 'PORT'): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new TypeError(`${name} must be a number from 0 to 65535`);
  return port;
}

/** Text that is not a number becomes `NaN`, which the option rejects. */
function readDays(text: string | undefined): number | undefined {
  if (!text) return undefined;
  return /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
}

function readLevel(level: string): string {
  if (/^(trace|debug|info|warn|error|fatal|silent)$/.test(level)) return level;
  throw new TypeError('LOG_LEVEL must be trace, debug, info, warn, error, fatal or silent');
}

/** Names the variable instead of the option in errors. */
function named<T>(names: Readonly<Record<string, string>>, make: () => T): T {
  try {
    return make();
  } catch (error) {
    const variable = error instanceof OptionError && names[error.path.replace(/\[\d+\]$/, '')];
    throw variable ? new TypeError(`${variable} ${error.rule}`) : error;
  }
}

/** @throws TypeError when both are set, or the file cannot be read */
function readHidden(variables: Variables, name: string, readFile: ReadFile): string | undefined {
  const path = variables[`${name}_FILE`];
  if (!path) return variables[name] || undefined;
  if (variables[name]) throw new TypeError(`${name} and ${name}_FILE exclude each other: set one of them`);
  let text: string;
  try {
    text = readFile(path).replace(/\r?\n$/, '');
  } catch {
    throw new TypeError(`${name}_FILE must name a file that can be read`);
  }
  checkClean(`The file of ${name}_FILE`, text);
  return text || undefined;
}
