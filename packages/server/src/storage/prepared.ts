import type { QueryResult } from 'kysely';
import type { Database } from 'libsql';
import { type PreparedQuery, reads, writes } from './statements.ts';

type Statement = ReturnType<Database['prepare']>;

interface KeptStatement {
  readonly statement: Statement;
  /** Whether it returns rows. */
  readonly reader: boolean;
  /** Given if it finds at most one row, which is then read as an array: the driver adds a member of its own to a single object. */
  readonly columns?: readonly string[];
}

/** Most prepared statements to keep. Filters of lists keep creating new ones. */
const statementLimit = 200;

/**
 * Prepares each statement once, because preparing takes longer than most queries. Raw SQL, such as changes of tables, is not
 * kept. Neither is a statement that failed, because libsql may leave it open.
 */
export class PreparedStatements {
  readonly #database: Database;
  readonly #kept = new Map<string, KeptStatement>();

  constructor(database: Database) {
    this.#database = database;
  }

  run(query: PreparedQuery): QueryResult<unknown> {
    const { sql } = query;
    const kept = this.#kept.get(sql) ?? this.#prepare(query);
    this.#kept.delete(sql);
    const result = execute(kept, query);
    if (this.#kept.size >= statementLimit) this.#kept.clear();
    if (reads(query) || writes(query)) this.#kept.set(sql, kept);
    return result;
  }

  #prepare({ sql, single }: PreparedQuery): KeptStatement {
    const statement = this.#database.prepare(sql);
    return {
      statement,
      reader: statement.reader,
      ...(single && { columns: columnsOf(statement.raw()) }),
    };
  }
}

function columnsOf(statement: Statement): string[] {
  return statement.columns().map(({ name }) => name);
}

function execute(
  { statement, reader, columns }: KeptStatement,
  { parameters }: PreparedQuery,
): QueryResult<unknown> {
  if (!reader) return { rows: [], numAffectedRows: BigInt(statement.run(parameters).changes) };
  if (!columns) return { rows: statement.all(parameters) };
  const values = statement.get(parameters) as unknown[] | undefined;
  if (!values) return { rows: [] };
  const row: Record<string, unknown> = {};
  for (const [index, name] of columns.entries()) row[name] = values[index];
  return { rows: [row] };
}
