import { smtp } from './delivery/smtp.ts';
import { webhook } from './delivery/webhook.ts';
import {
  readSecret as checkSecret,
  type PassageServerOptions,
  readBaseUrl,
  readDatabase,
} from './options.ts';

/** Configuration of the command. */
export interface Environment {
  options: PassageServerOptions;
  listen: { port: number; host: string | undefined };
  logLevel: string;
  /** @throws TypeError when `PASSAGE_NEXT_SECRET` is not set */
  nextSecret(): string;
}

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Reads the configuration of the command.
 *
 * @throws TypeError naming the variable, and how to set it
 */
export function readEnvironment(variables: Variables, readFile: (path: string) => string): Environment {
  const secret = readSecret(variables, 'PASSAGE_SECRET', readFile);
  if (!secret) {
    throw new TypeError(
      'PASSAGE_SECRET or PASSAGE_SECRET_FILE must be set to 32 random bytes in base64. Make them once: openssl rand -base64 32',
    );
  }
  const baseUrl = variables.PASSAGE_BASE_URL;
  if (!baseUrl)
    throw new TypeError(
      'PASSAGE_BASE_URL must be set to the public URL, for example https://auth.example.com',
    );
  const database = variables.DATABASE_URL || undefined;
  named('PASSAGE_SECRET', () => checkSecret(secret));
  named('PASSAGE_BASE_URL', () => readBaseUrl(baseUrl));
  named('DATABASE_URL', () => readDatabase(database));
  const port = Number(variables.PORT || 3000);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new TypeError('PORT must be a number from 0 to 65535');
  const enumeration = variables.PASSAGE_ENUMERATION || 'passage';
  if (enumeration !== 'passage' && enumeration !== 'strict') {
    throw new TypeError('PASSAGE_ENUMERATION must be passage or strict');
  }
  const logLevel = variables.LOG_LEVEL || 'info';
  if (!/^(trace|debug|info|warn|error|fatal|silent)$/.test(logLevel)) {
    throw new TypeError('LOG_LEVEL must be trace, debug, info, warn, error, fatal or silent');
  }
  return {
    options: {
      baseUrl,
      secret,
      database,
      enumeration,
      trustedProxies: (variables.PASSAGE_TRUSTED_PROXIES ?? '').split(/[\s,]+/).filter(Boolean),
      app: {
        id: variables.PASSAGE_APP_ID || undefined,
        apiKey: variables.PASSAGE_API_KEY || undefined,
        name: variables.PASSAGE_APP_NAME || undefined,
        authOrigin: variables.PASSAGE_AUTH_ORIGIN || undefined,
      },
      ...readDelivery(variables, readFile),
    },
    listen: { port, host: variables.HOST || undefined },
    logLevel,
    nextSecret() {
      const next = readSecret(variables, 'PASSAGE_NEXT_SECRET', readFile);
      if (!next)
        throw new TypeError('PASSAGE_NEXT_SECRET or PASSAGE_NEXT_SECRET_FILE must be set to the new secret');
      named('PASSAGE_NEXT_SECRET', () => checkSecret(next));
      return next;
    },
  };
}

function readDelivery(
  variables: Variables,
  readFile: (path: string) => string,
): Pick<PassageServerOptions, 'delivery'> {
  const url = readSecret(variables, 'PASSAGE_SMTP_URL', readFile);
  const hook = variables.PASSAGE_WEBHOOK_URL;
  if (url && hook)
    throw new TypeError('PASSAGE_SMTP_URL and PASSAGE_WEBHOOK_URL exclude each other: set one of them');
  if (url) {
    const from = variables.PASSAGE_SMTP_FROM;
    if (!from)
      throw new TypeError(
        'PASSAGE_SMTP_FROM must be set to the sender, for example "Acme <login@acme.example>"',
      );
    return { delivery: named('PASSAGE_SMTP_URL', () => smtp({ url, from })) };
  }
  if (!hook) return {};
  const secret = readSecret(variables, 'PASSAGE_WEBHOOK_SECRET', readFile);
  if (!secret) throw new TypeError('PASSAGE_WEBHOOK_SECRET must be set to the key that signs messages');
  return {
    delivery: named('PASSAGE_WEBHOOK_URL and PASSAGE_WEBHOOK_SECRET', () => webhook({ url: hook, secret })),
  };
}

/** Says which variable an option came from. */
function named<T>(variable: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new TypeError(`${variable}: ${error instanceof Error ? error.message : 'is not valid'}`);
  }
}

function readSecret(
  variables: Variables,
  name: string,
  readFile: (path: string) => string,
): string | undefined {
  const path = variables[`${name}_FILE`];
  if (!path) return variables[name] || undefined;
  if (variables[name]) throw new TypeError(`${name} and ${name}_FILE exclude each other: set one of them`);
  try {
    return readFile(path).trim();
  } catch {
    throw new TypeError(`${name}_FILE must name a file that can be read`);
  }
}
