import { randomBytes } from 'node:crypto';
import { internalCheckNames } from '@passage-auth/core';
import {
  type AppSettings,
  createPassageServer,
  outbox,
  type PassageServerOptions,
} from '@passage-auth/server';
import { Clock } from './clock.ts';
import { Listener } from './listener.ts';
import { type AppAccess, TestPassage } from './passage.ts';
import { appKey, privateJwkOf } from './tokens.ts';
import { Traffic } from './traffic.ts';

/** How to start the server of a test. */
export interface StartOptions {
  /** Settings of the app. Default is those of a new app. */
  app?: AppSettings | undefined;
  /** Port to answer on as well, for browsers and other processes; 0 for any that is free. Default is none. */
  port?: number | undefined;
  /** Further options of the server. Rate limits are off unless given here. */
  server?: Partial<Pick<PassageServerOptions, 'enumeration' | 'rateLimits' | 'logger'>> | undefined;
}

const names = { app: true, port: true, server: true } satisfies Record<keyof StartOptions, true>;
const serverNames = { enumeration: true, rateLimits: true, logger: true };

/** The server itself checks the values in `app` and `server`. */
function checkOptions(options: StartOptions): void {
  internalCheckNames(options, names);
  if (options.server !== undefined) internalCheckNames(options.server, serverNames);
  const { port = 0 } = options;
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new TypeError('"port" option must be a port number, or 0 for any free port');
  }
}

/**
 * Starts a Passage server in memory, with one app and no users. Nothing is shared with other servers but the signing
 * key, which is made once and kept in a cache folder of the user.
 *
 * @throws TypeError if an option is unknown or invalid
 * @example
 * ```ts
 * await using passage = await startPassage();
 * const app = createApp(passage.options);
 * const { headers } = await passage.signIn('ada@example.com');
 * ```
 */
export async function startPassage(options: StartOptions = {}): Promise<TestPassage> {
  checkOptions(options);
  const listener = options.port === undefined ? undefined : await Listener.open(options.port);
  // A name that can never exist: a request that misses the server cannot reach anybody else (RFC 6761 §6.2).
  const baseUrl = listener?.url ?? 'https://passage.test';
  const clock = new Clock();
  const traffic = new Traffic();
  const delivery = outbox({ limit: 1000, print: false, clock: clock.now });
  const key = await appKey();
  const server = await createPassageServer({
    rateLimits: false,
    ...options.server,
    database: ':memory:',
    baseUrl,
    secret: randomBytes(32).toString('base64'),
    app: { ...options.app, signingKey: privateJwkOf(key) },
    delivery,
    clock: clock.now,
  });
  listener?.serve(server.handler, (pathname, signal) => traffic.pass(pathname, signal));
  return new TestPassage({
    server,
    // The database is new, so the server has made the app just now.
    app: server.created as AppAccess,
    key,
    baseUrl,
    authOrigin: options.app?.authOrigin ?? new URL(baseUrl).origin,
    clock,
    traffic,
    outbox: delivery.messages,
    listener,
  });
}
