import { Socket } from 'node:net';
import { userInfo } from 'node:os';
import { type Kysely, type PostgresDialect, sql } from 'kysely';
import { loadDriver } from './driver.ts';
import { parsePostgres } from './location.ts';
import { PipelinedDialect } from './pipeline.ts';
import type { Schema } from './schema.ts';

/**
 * How long a connection in use may be silent, in milliseconds. If a database disappears without closing its connections, TCP alone
 * takes a quarter of an hour to notice.
 */
const longestSilence = 10_000;

/** Access to PostgreSQL. Connections are opened on demand. */
export interface Postgres {
  dialect: PostgresDialect;
  /** From now on, closes connections that do not answer. Their queries fail, and the next ones get a new connection. */
  limitSilence(): void;
}

/** @param connectionString `postgres://` URL. */
export async function connectPostgres(connectionString: string): Promise<Postgres> {
  const { default: pg } = await loadDriver('PostgreSQL', () => import('pg'));
  pg.defaults.user ??= accountName();
  // https://github.com/brianc/node-pg-types: bigint arrives as text; times and counts stay below 2^53.
  const types = {
    getTypeParser: ((oid: number, format?: 'text') =>
      oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format)) as never,
  };
  const guarded = new WeakSet<object>();
  const sockets = new Set<Socket>();
  let limit = 0;
  const pool = new pg.Pool({
    connectionString,
    stream: () => {
      const socket = new Socket().setTimeout(limit);
      socket.on('timeout', () => socket.destroy()).on('close', () => sockets.delete(socket));
      sockets.add(socket);
      return socket;
    },
    types,
    pipeline: true,
    max: 10,
    connectionTimeoutMillis: 5_000,
    async onConnect(client) {
      const { rows } = await client.query<{ level: string; pid: number }>(
        `select current_setting('default_transaction_isolation') as level, pg_backend_pid() as pid`,
      );
      // A stricter default of the database would refuse concurrent transactions.
      const strict = rows[0]?.level !== 'read committed';
      // A pooler makes up the process ID, because the next transaction may run in another process.
      const pooled = rows[0]?.pid !== (client as { processID?: number }).processID;
      if (strict || pooled) guarded.add(client);
    },
  });
  // Losing an idle connection must not end the process. The next query opens another.
  pool.on('error', () => undefined);
  // The pool listens only to idle connections, so this handles one lost between two queries of a transaction.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return {
    dialect: new PipelinedDialect(pool, guarded),
    limitSilence() {
      limit = longestSilence;
      for (const socket of sockets) socket.setTimeout(limit);
    },
  };
}

/** The default of libpq. This driver has it only if the shell sets USER. The user ID in a container may have no name. */
function accountName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

/**
 * Connects once, as a check.
 *
 * @throws Error that names host and cause. The driver's own error is empty if a host has several addresses
 * @throws Error if the connection does not use the schema of the URL
 */
export async function requireConnection(db: Kysely<Schema>, location: string): Promise<void> {
  const path = await readPath(db, location);
  const wanted = pathOf(location);
  if (wanted === undefined || normalize(path) === normalize(wanted)) return;
  // Otherwise the tables of another server could be there.
  const { username } = parsePostgres(location);
  throw new Error(
    `The pooler at ${hostOf(location)} ignores the search_path of the URL. Set it for the user instead: alter role ${username || 'name'} set search_path = ${wanted}`,
  );
}

async function readPath(db: Kysely<Schema>, location: string): Promise<string> {
  try {
    const { rows } = await sql<{ path: string }>`select current_setting('search_path') as path`.execute(db);
    return rows[0]?.path ?? '';
  } catch (cause) {
    const reasons: Error[] = cause instanceof AggregateError ? cause.errors : [cause as Error];
    const texts = new Set(reasons.map(({ message }) => message));
    throw new Error(
      `Cannot connect to PostgreSQL at ${hostOf(location)}: ${[...texts].join(', ')}${cureFor(cause)}`,
      {
        cause,
      },
    );
  }
}

/** The `search_path` among the options of the URL: the last one, without the backslashes before its spaces. */
function pathOf(location: string): string | undefined {
  const options = parsePostgres(location).searchParams.get('options') ?? process.env.PGOPTIONS ?? '';
  const [, value] = [...options.matchAll(/(?:-c\s*|--)search[_-]path=((?:\\.|\S)*)/gi)].at(-1) ?? [];
  return value?.replace(/\\(.)/g, '$1');
}

/** PostgreSQL shows the path of a URL as it is, and that of a user in lower case, with spaces and without needless quotes. */
function normalize(path: string): string {
  return path.replace(/[\s"]/g, '').toLowerCase();
}

function hostOf(location: string): string {
  const { host, searchParams } = parsePostgres(location);
  return searchParams.get('host') ?? (host || process.env.PGHOST || 'localhost');
}

function cureFor(cause: unknown): string {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  if (/^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO)/.test(code)) {
    return '. Trust the CA of the database: add sslrootcert=/path/to/ca.pem to the URL';
  }
  if (message.startsWith('unsupported startup parameter')) {
    return '. The pooler does not take it: remove it from the URL, and set it for the user with "alter role"';
  }
  if (message.startsWith('no PostgreSQL user name')) return '. Name the user: postgres://user@host/database';
  return '';
}
