/**
 * Statements that are compiled once, and ways to run several in one round trip. Kysely takes longer to build and compile a query
 * than a database takes to run it, so the paths that users wait for, such as logins, use them.
 *
 * @module
 */
import { createHash } from 'node:crypto';
import type { Compilable, CompiledQuery, DatabaseConnection, Insertable, Kysely, QueryResult } from 'kysely';
import type { Schema } from './schema.ts';

export interface PreparedQuery<Row = unknown> extends CompiledQuery<Row> {
  /** PostgreSQL may keep the query under this name. */
  readonly name?: string;
  /** Whether it finds at most one row, which SQLite's driver reads in half the time. */
  readonly single?: boolean;
}

/** Whether a query only reads. Not for raw SQL, whose kind nobody knows. */
export function reads({ query }: CompiledQuery): boolean {
  return query.kind === 'SelectQueryNode';
}

/** Whether a query changes rows. Not for raw SQL, whose kind nobody knows. */
export function writes({ query }: CompiledQuery): boolean {
  return /^(Insert|Update|Delete)QueryNode$/.test(query.kind);
}

/** A statement with its values. */
export interface Statement<Row> {
  compile(queries: Kysely<Schema>): PreparedQuery<Row>;
}

/** What both drivers add to a connection. */
export interface StatementConnection extends DatabaseConnection {
  /** Runs queries in the given order, in the current transaction or in one of their own. */
  executeAll(queries: readonly PreparedQuery[]): Promise<QueryResult<unknown>[]>;
  /** Runs a query of a transaction at the latest before it commits. */
  defer(query: PreparedQuery): Promise<void>;
}

/** Stands for a value while a statement is compiled. */
class Placeholder {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

const placeholders = new Proxy({}, { get: (_, name) => new Placeholder(String(name)) });

/**
 * Defines a statement that is compiled once for each database.
 *
 * @param build Builds the query. The values are placeholders, which can only be passed on to the query.
 */
export function prepare<Values extends object, Row>(
  build: (db: Kysely<Schema>, values: Values) => Compilable<Row>,
  single = false,
): (values: Values) => Statement<Row> {
  // Transactions share the adapter of their database.
  const known = new WeakMap<object, PreparedQuery<Row>>();
  return (values) => ({
    compile(queries) {
      const { adapter } = queries.getExecutor();
      let query = known.get(adapter);
      if (!query) {
        const compiled = build(queries, placeholders as Values).compile();
        query = { ...compiled, name: nameOf(compiled.sql), single };
        known.set(adapter, query);
      }
      const parameters = query.parameters.map((parameter) =>
        parameter instanceof Placeholder ? values[parameter.name as keyof Values] : parameter,
      );
      return { ...query, parameters };
    },
  });
}

/** Defines a statement as `prepare` does, which finds at most one row. */
export function prepareOne<Values extends object, Row>(
  build: (db: Kysely<Schema>, values: Values) => Compilable<Row>,
): (values: Values) => Statement<Row> {
  return prepare(build, true);
}

/** Processes of several versions may share a connection, so a name must never stand for two texts. */
function nameOf(text: string): string {
  return `passage_${createHash('sha256').update(text).digest('base64url')}`;
}

type RowOf<Table extends keyof Schema> = Insertable<Schema[Table]>;

/** Defines a statement that inserts a row. @param columns All columns of the table */
export function prepareInsert<Table extends keyof Schema>(
  table: Table,
  columns: readonly (keyof RowOf<Table> & string)[],
): (row: RowOf<Table>) => Statement<unknown> {
  return prepare((db, row: RowOf<Table>) =>
    db.insertInto(table).values(Object.fromEntries(columns.map((name) => [name, row[name]])) as never),
  );
}

/** Runs a statement. @returns Its rows */
export async function run<Row>(queries: Kysely<Schema>, statement: Statement<Row>): Promise<Row[]> {
  const { rows } = await queries.executeQuery<Row>(statement.compile(queries));
  return rows;
}

export type RowsOf<Statements extends readonly Statement<unknown>[]> = {
  [Index in keyof Statements]: Statements[Index] extends Statement<infer Row> ? Row[] : never;
};

/**
 * Runs statements in the given order: in one transaction, and on PostgreSQL in one round trip.
 *
 * @returns The rows of each.
 */
export async function runAll<const Statements extends readonly Statement<unknown>[]>(
  queries: Kysely<Schema>,
  statements: Statements,
): Promise<RowsOf<Statements>> {
  if (statements.length === 0) return [] as RowsOf<Statements>;
  const compiled = statements.map((statement) => statement.compile(queries));
  return queries.getExecutor().provideConnection(async (connection) => {
    const results = await (connection as StatementConnection).executeAll(compiled);
    return results.map(({ rows }) => rows) as RowsOf<Statements>;
  });
}

/**
 * Runs a statement of a transaction whose result is not needed. On PostgreSQL it shares the round trip of the next statement, or of
 * the commit. If it fails, that fails.
 */
export function defer(trx: Kysely<Schema>, statement: Statement<unknown>): Promise<void> {
  const query = statement.compile(trx);
  return trx
    .getExecutor()
    .provideConnection((connection) => (connection as StatementConnection).defer(query));
}
