import { CompiledQuery, type Driver, PostgresDialect, type QueryResult } from 'kysely';
import type {
  Connection,
  Pool,
  PoolClient,
  Query,
  QueryConfig,
  QueryResult as Result,
  Submittable,
} from 'pg';
import { failureOf } from './failure.ts';
import type { PreparedQuery, StatementConnection } from './statements.ts';

/** How queries reach the driver. */
interface Wire {
  readonly Query: typeof Query;
  readonly types: QueryConfig['types'];
  /** Whether PostgreSQL keeps prepared statements under their names. False after it has lost one. */
  named: boolean;
}

/** Sends several statements at once, `begin` with the first statement of a transaction, and keeps prepared statements. */
export class PipelinedDialect extends PostgresDialect {
  readonly #driver: PipelinedDriver;

  constructor(pool: Pool, wire: Omit<Wire, 'named'>) {
    super({ pool });
    this.#driver = new PipelinedDriver(pool, { ...wire, named: true });
  }

  override createDriver(): Driver {
    return this.#driver;
  }
}

const [begin, commit, rollback] = ['begin', 'commit', 'rollback'].map((text) => CompiledQuery.raw(text)) as [
  CompiledQuery,
  CompiledQuery,
  CompiledQuery,
];

class PipelinedDriver implements Driver {
  readonly #pool: Pool;
  readonly #wire: Wire;

  constructor(pool: Pool, wire: Wire) {
    this.#pool = pool;
    this.#wire = wire;
  }

  async init(): Promise<void> {}

  async destroy(): Promise<void> {
    await this.#pool.end();
  }

  async acquireConnection(): Promise<PipelinedConnection> {
    return new PipelinedConnection(await this.#pool.connect(), this.#wire);
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

class PipelinedConnection implements StatementConnection {
  readonly #client: PoolClient;
  readonly #wire: Wire;
  #inTransaction = false;
  /** What is sent before the next statement. */
  #deferred: CompiledQuery[] = [];

  constructor(client: PoolClient, wire: Wire) {
    this.#client = client;
    this.#wire = wire;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const [result] = await this.executeAll([query]);
    return result as QueryResult<Row>;
  }

  async executeAll(queries: readonly PreparedQuery[]): Promise<QueryResult<unknown>[]> {
    const all = [...this.#deferred, ...queries];
    this.#deferred = [];
    const results = await this.#send(all);
    return results.slice(-queries.length).map(({ command, rowCount, rows }) => ({
      rows,
      ...(/^(INSERT|UPDATE|DELETE)$/.test(command) && { numAffectedRows: BigInt(rowCount ?? 0) }),
    }));
  }

  async defer(query: CompiledQuery): Promise<void> {
    this.#deferred.push(query);
  }

  begin(): void {
    this.#inTransaction = true;
    this.#deferred.push(begin);
  }

  async rollBack(): Promise<void> {
    const begun = !this.#deferred.includes(begin);
    this.#deferred = [];
    if (begun) await this.executeAll([rollback]);
  }

  release(): void {
    this.#client.release();
  }

  // biome-ignore lint/correctness/useYield: Kysely wants it, and the server never streams rows.
  async *streamQuery(): AsyncIterableIterator<never> {
    throw new Error('Rows cannot be streamed');
  }

  async #send(queries: readonly PreparedQuery[]): Promise<Result[]> {
    const { named } = this.#wire;
    try {
      return await new Promise((resolve, reject) => {
        this.#client.query(new Batch(queries, this.#wire, resolve, reject));
      });
    } catch (error) {
      if (named && failureOf(error) === 'unprepared') {
        this.#wire.named = false;
        // A transaction is retried as a whole.
        if (!this.#inTransaction) return this.#send(queries);
      }
      // Otherwise the stack is the one of the socket.
      Error.captureStackTrace(error as Error);
      throw error;
    }
  }
}

/** The driver's query, with what `pg-cursor` uses too. */
interface DriverQuery extends Submittable {
  readonly name?: string;
  readonly text: string;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
  handleReadyForQuery(connection: Connection): void;
}

/**
 * Queries that are sent at once, and end together: outside a transaction, they are one.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
class Batch implements Submittable {
  readonly #queries: readonly DriverQuery[];
  readonly #results: Result[] = [];
  readonly #resolve: (results: Result[]) => void;
  readonly #reject: (error: Error) => void;

  constructor(
    queries: readonly PreparedQuery[],
    { Query, types, named }: Wire,
    resolve: (results: Result[]) => void,
    reject: (error: Error) => void,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#queries = queries.map(({ sql: text, parameters, name }) => {
      const config = {
        text,
        values: [...parameters],
        types,
        // The other mode would send a message that ends the batch.
        queryMode: 'extended',
        ...(named && name !== undefined && { name }),
      };
      const query = new Query(config, (error, result) => {
        if (error) reject(error);
        else this.#results.push(result as unknown as Result);
      });
      return query as unknown as DriverQuery;
    });
  }

  submit(connection: Connection): void {
    // Each query would end with this message. It ends the batch.
    const open = Object.create(connection, { sync: { value: () => undefined } });
    connection.stream.cork();
    for (const query of this.#queries) query.submit(open);
    connection.sync();
    connection.stream.uncork();
  }

  /** The client notes under this name that the connection has the statement. */
  get name(): string | undefined {
    return this.#current?.name;
  }

  get text(): string | undefined {
    return this.#current?.text;
  }

  get #current(): DriverQuery | undefined {
    return this.#queries[this.#results.length];
  }

  handleRowDescription(message: unknown): void {
    this.#current?.handleRowDescription(message);
  }

  handleDataRow(message: unknown): void {
    this.#current?.handleDataRow(message);
  }

  handleCommandComplete(message: unknown, connection: Connection): void {
    const query = this.#current;
    query?.handleCommandComplete(message, connection);
    query?.handleReadyForQuery(connection);
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#results);
  }

  handleError(error: Error, connection: { submittedNamedStatements: Record<string, string> }): void {
    // PostgreSQL skipped the queries after the one that failed, so it does not have their statements.
    for (const { name } of this.#queries) if (name) delete connection.submittedNamedStatements[name];
    this.#reject(error);
  }
}
