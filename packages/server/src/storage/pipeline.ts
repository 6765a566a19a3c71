import { CompiledQuery, type Driver, PostgresDialect, type QueryResult } from 'kysely';
import type { Client, Pool, PoolClient, QueryResult as Result } from 'pg';
import { failureOf } from './failure.ts';
import type { PreparedQuery, StatementConnection } from './statements.ts';

/**
 * Sends several statements at once, and `begin` with the first statement of a transaction. PostgreSQL keeps prepared statements.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
export class PipelinedDialect extends PostgresDialect {
  readonly #pool: Pool;
  readonly #guarded: Connections;

  /**
   * @param pool With the option `pipeline`.
   * @param guarded Connections whose settings do not suit, or may be changed by others. All statements run in transactions there.
   */
  constructor(pool: Pool, guarded: Connections) {
    super({ pool });
    this.#pool = pool;
    this.#guarded = guarded;
  }

  override createDriver(): Driver {
    return new PipelinedDriver(this.#pool, this.#guarded);
  }
}

type Connections = Pick<WeakSet<object>, 'has'>;

// Not a setting of the connection: a pooler gives that to other clients, and other connections to this one.
const begin: PreparedQuery = CompiledQuery.raw('begin isolation level read committed');
// A client of the pooler may have left another path, as pg_dump does. The default is that of the URL or of the user.
const beginGuarded: PreparedQuery = CompiledQuery.raw(`${begin.sql}; set local search_path to default`);
const commit: PreparedQuery = CompiledQuery.raw('commit');
const rollback: PreparedQuery = CompiledQuery.raw('rollback');

class PipelinedDriver implements Driver {
  readonly #pool: Pool;
  readonly #guarded: Connections;
  /** Whether statements have names. False after PostgreSQL has lost one. */
  named = true;

  constructor(pool: Pool, guarded: Connections) {
    this.#pool = pool;
    this.#guarded = guarded;
  }

  async init(): Promise<void> {}

  async destroy(): Promise<void> {
    await this.#pool.end();
  }

  async acquireConnection(): Promise<PipelinedConnection> {
    const client = (await this.#pool.connect()) as PooledClient;
    return new PipelinedConnection(client, this, this.#guarded.has(client));
  }

  async beginTransaction(connection: PipelinedConnection): Promise<void> {
    connection.begin();
  }

  async commitTransaction(connection: PipelinedConnection): Promise<void> {
    await connection.executeAll([commit]);
  }

  async rollbackTransaction(connection: PipelinedConnection): Promise<void> {
    await connection.rollBack();
  }

  async releaseConnection(connection: PipelinedConnection): Promise<void> {
    connection.release();
  }
}

/** The types of the pool leave out that its clients are ordinary ones. */
type PooledClient = PoolClient & Pick<Client, 'connection'>;

class PipelinedConnection implements StatementConnection {
  readonly #client: PooledClient;
  readonly #driver: PipelinedDriver;
  readonly #guarded: boolean;
  #inTransaction = false;
  /** Whether a transaction could not be rolled back, which then ends with the connection. */
  #broken = false;
  /** What is sent before the next statement. */
  #deferred: PreparedQuery[] = [];

  constructor(client: PooledClient, driver: PipelinedDriver, guarded: boolean) {
    this.#client = client;
    this.#driver = driver;
    this.#guarded = guarded;
  }

  get #begin(): PreparedQuery {
    return this.#guarded ? beginGuarded : begin;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const [result] = await this.executeAll([query]);
    return result as QueryResult<Row>;
  }

  async executeAll(queries: readonly PreparedQuery[]): Promise<QueryResult<unknown>[]> {
    if (!this.#inTransaction) {
      if (queries.length === 1 && !this.#guarded) return this.#send(queries);
      return (await this.#send([this.#begin, ...queries, commit])).slice(1, -1);
    }
    const all = [...this.#deferred, ...queries];
    this.#deferred = [];
    return (await this.#send(all)).slice(-queries.length);
  }

  async defer(query: PreparedQuery): Promise<void> {
    this.#deferred.push(query);
  }

  begin(): void {
    this.#inTransaction = true;
    this.#deferred.push(this.#begin);
  }

  async rollBack(): Promise<void> {
    const begun = !this.#deferred.includes(this.#begin);
    this.#deferred = [];
    if (!begun) return;
    try {
      await this.executeAll([rollback]);
    } catch {
      // What made the transaction fail says more than the lost connection does.
      this.#broken = true;
    }
  }

  release(): void {
    this.#client.release(this.#broken);
  }

  // biome-ignore lint/correctness/useYield: Kysely wants it, and the server never streams rows.
  async *streamQuery(): AsyncIterableIterator<never> {
    throw new Error('Rows cannot be streamed');
  }

  async #send(queries: readonly PreparedQuery[]): Promise<QueryResult<unknown>[]> {
    const { named } = this.#driver;
    const outcomes = await Promise.allSettled(this.#write(queries, named));
    // Those after the first that fails fail because of it.
    const failed = outcomes.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
    if (!failed)
      return outcomes.map((outcome) => resultOf((outcome as PromiseFulfilledResult<Result>).value));
    if (named && failureOf(failed.reason) === 'unprepared') {
      this.#driver.named = false;
      // A transaction is retried as a whole.
      if (!this.#inTransaction) return this.#send(queries);
    }
    throw failed.reason;
  }

  /** Writes queries in one piece: each piece would wake the database up. */
  #write(queries: readonly PreparedQuery[], named: boolean): Promise<Result>[] {
    const { stream } = this.#client.connection;
    stream.cork();
    try {
      return queries.map((query) => this.#query(query, named));
    } finally {
      stream.uncork();
    }
  }

  #query({ sql: text, parameters, name }: PreparedQuery, named: boolean): Promise<Result> {
    return this.#client.query({
      text,
      values: [...parameters],
      ...(named && name !== undefined && { name }),
    });
  }
}

function resultOf({ command, rowCount, rows }: Result): QueryResult<unknown> {
  return {
    rows,
    ...(/^(INSERT|UPDATE|DELETE)$/.test(command) && { numAffectedRows: BigInt(rowCount ?? 0) }),
  };
}
