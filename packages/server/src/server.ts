import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { toResponse } from './answer.ts';
import { createAdministration, createFirstApp, type PassageApps } from './apps/administration.ts';
import { StoredKeys } from './apps/keys.ts';
import { warnOfApps } from './apps/warnings.ts';
import type { OutboxMessage } from './delivery/delivery.ts';
import { outbox } from './delivery/outbox.ts';
import { storing } from './delivery/stored.ts';
import { WireError } from './errors.ts';
import { record } from './events/record.ts';
import { createSender, type Sender } from './events/sender.ts';
import { type Listener, openListener } from './http/listener.ts';
import { createMetrics } from './http/metrics.ts';
import { type Answerer, answerNode } from './http/node.ts';
import { type PassageServerOptions, readSecret, resolveOptions } from './options.ts';
import { createSchedule, type Schedule, type ScheduledRun } from './schedule.ts';
import type { Service } from './service.ts';
import { backUp } from './storage/backup.ts';
import { requireSecret } from './storage/binding.ts';
import { openStorage, type Use } from './storage/database.ts';
import { changeSecret, voidSecrets } from './storage/maintenance.ts';
import { createSecrets } from './storage/secrets.ts';
import { rewriteAddresses } from './users/addresses.ts';
import { importUsers } from './users/import.ts';

/** A Passage service. */
export interface PassageServer {
  /** Answers a request. Never rejects. Paths outside the path of `baseUrl` are 404. */
  fetch(request: Request, connection?: { remoteAddress?: string | undefined }): Promise<Response>;
  /** Handles a request of `node:http`, Express, Connect or raw Fastify, also when mounted under a path or behind a body parser. */
  readonly handler: (req: IncomingMessage, res: ServerResponse) => void;
  /** Opens a port. Default is 3000 on every address; `port: 0` takes a free one. */
  listen(options?: {
    port?: number | undefined;
    host?: string | undefined;
  }): Promise<{ url: string; port: number }>;
  /**
   * Answers requests in progress, closes the port that `listen` opened, waits for scheduled work and for messages, and then closes the
   * database. Requests and messages get at most 9.5 seconds in all.
   */
  close(): Promise<void>;
  /** App and API key that this start created because there were none. The key is not stored: save it. */
  readonly created: { appId: string; apiKey: string } | undefined;
  readonly apps: PassageApps;
  /** Copies a SQLite database that is in use to a new file. PostgreSQL has `pg_dump`. */
  backup(file: string): Promise<void>;
  /** After restoring a backup: ends sessions, codes and links, since some may have been used after it was taken. */
  voidSecrets(): Promise<void>;
  /**
   * Encrypts the signing keys with another secret, and ends sessions, codes and links. Start with the new secret afterwards.
   *
   * @returns Number of signing keys.
   */
  rotateSecret(secret: string): Promise<number>;
  /**
   * Runs the scheduled jobs that are due, such as deleting expired rows, and sends waiting events to the event webhook. The server does this by itself, on
   * PostgreSQL in one process at a time. Call it where timers do not run between requests, as on function platforms, for example every ten minutes.
   *
   * @returns Names of the jobs that ran: none if another process runs them.
   * @throws Error if the database does not answer
   */
  runScheduled(): Promise<ScheduledRun>;
  /** Messages kept by the default delivery. */
  readonly outbox: { readonly messages: readonly OutboxMessage[] };
}

/**
 * Opens the database, migrates it, and creates the first app if there is none.
 *
 * @throws TypeError if an option is missing or invalid
 * @throws Error if the database cannot be opened, another server uses its SQLite file, or it was created with a different secret
 */
export async function createPassageServer(options: PassageServerOptions): Promise<PassageServer> {
  const { server } = await openServer(options, { use: 'serve', firstApp: true, actor: 'program' });
  return server;
}

/**
 * Like `createPassageServer`, for commands too.
 *
 * @param use `visit` to work beside a running server, `serve` to run one.
 * @param firstApp Whether to create an app if there is none.
 * @param actor Who is recorded for work without a request.
 * @param storeOutbox Whether messages of the default delivery are also kept in the database.
 * @internal
 */
export async function openServer(
  options: PassageServerOptions,
  {
    use,
    firstApp,
    actor = 'command',
    storeOutbox = false,
  }: { use: Use; firstApp: boolean; actor?: 'command' | 'program'; storeOutbox?: boolean },
): Promise<{ server: PassageServer; service: Service }> {
  const resolved = resolveOptions(options);
  const { clock } = resolved;
  const storage = await openStorage(resolved.database, use);
  try {
    const secrets = createSecrets(resolved.secret);
    await storage.db.transaction().execute((trx) => requireSecret(trx, secrets));
    const kept = outbox({ clock });
    let sender: Sender | undefined;
    const fallback = storeOutbox ? storing(kept, { db: storage.db, secrets, clock }) : kept;
    const service: Service = {
      options: resolved,
      storage,
      db: storage.db,
      secrets,
      keys: new StoredKeys(storage, secrets, clock),
      delivery: resolved.delivery ?? fallback,
      metrics: createMetrics(),
      clock,
      known: { apps: new Map(), apiKeys: new Map() },
      underWay: new Set(),
      closing: new AbortController(),
      wake: () => sender?.wake(),
      operator: {
        ip: undefined,
        userAgent: actor === 'command' ? 'passage-server command' : '',
        actor: { kind: actor },
      },
    };
    if (resolved.eventWebhook) sender = createSender(service, resolved.eventWebhook);
    await rewriteAddresses(service);
    const created = firstApp ? await createFirstApp(service) : undefined;
    await warnOfApps(service);
    const schedule = createSchedule(service);
    const answer = use === 'serve' ? (await import('./answerer.ts')).createAnswerer(service) : unanswered;
    if (use === 'serve') {
      schedule.start();
      sender?.start();
    }
    return { server: assemble(service, answer, schedule, sender, created, kept.messages), service };
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** Commands answer no requests, so they do without the routes. */
const unanswered: Answerer = async () => new WireError('service_unavailable').toAnswer();

function assemble(
  service: Service,
  answer: Answerer,
  schedule: Schedule,
  sender: Sender | undefined,
  created: PassageServer['created'],
  messages: readonly OutboxMessage[],
): PassageServer {
  let listener: Listener | undefined;
  let closing: Promise<void> | undefined;
  const handler: PassageServer['handler'] = (req, res) =>
    void answerNode(answer, service.options.origin, req, res);

  return {
    async fetch({ method, url, headers, body }, connection) {
      const read = () => {
        const { origin, pathname, search } = new URL(url);
        return { method, origin, path: pathname + search, headers, body };
      };
      return toResponse(await answer(headers, connection?.remoteAddress, read), method);
    },
    handler,
    created,
    apps: createAdministration(service, importUsers),
    outbox: { messages },
    backup: (file) => backUp(service.storage, file),
    async runScheduled() {
      await sender?.sendDue();
      return schedule.run();
    },
    voidSecrets: () =>
      service.db.transaction().execute(async (trx) => {
        await voidSecrets(trx);
        await record(service, trx, { type: 'backup.restored', client: service.operator });
      }),
    rotateSecret(secret) {
      const next = createSecrets(readSecret(secret));
      return service.db.transaction().execute(async (trx) => {
        await record(service, trx, { type: 'secret.rotated', client: service.operator });
        return changeSecret(trx, service.keys, next);
      });
    },
    async listen({ port = 3000, host } = {}) {
      listener = await openListener(handler, port, host);
      return { url: service.options.baseUrl, port: listener.port };
    },
    close() {
      closing ??= (async () => {
        service.closing.abort(Date.now());
        // A command may have begun to close the server before.
        const deadline = service.closing.signal.reason + patience;
        // Events that are not posted stay in the database.
        const stopped = sender?.stop();
        await listener?.close();
        await schedule.close();
        await finish(service, deadline - Date.now());
        await stopped;
        await service.storage.close();
      })();
      return closing;
    },
  };
}

/** Longest time to wait for requests and messages when the server closes, in milliseconds. Platforms end a process ten seconds after SIGTERM. */
const patience = 9_500;

/** Waits for work in progress, and for work that it starts, for at most so many milliseconds. */
async function finish({ underWay }: Service, milliseconds: number): Promise<void> {
  const stop = new AbortController();
  const late = delay(milliseconds, 'late', { signal: stop.signal }).catch(() => undefined);
  while (underWay.size > 0) {
    if ((await Promise.race([late, Promise.allSettled(underWay)])) === 'late') break;
  }
  stop.abort();
}
