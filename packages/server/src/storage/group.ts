import { setImmediate as nextTurn } from 'node:timers/promises';
import { type CompiledQuery, type Driver, type QueryResult, SqliteDialect } from 'kysely';
import type { Database } from 'libsql';
import { PreparedStatements } from './prepared.ts';
import { begin, finish } from './sqlite.ts';
import { type PreparedQuery, reads, type StatementConnection, writes } from './statements.ts';

/**
 * Commits together what is written in one turn of the event loop: a commit waits for the disk, and blocks the process meanwhile.
 *
 * Whoever has written leaves the transaction open for the next one, which undoes only its own part if it fails. Nobody gets a
 * result before the commit, not even those who only read: they may have read what is not committed.
 *
 * https://www.sqlite.org/lang_savepoint.html
 */
export class GroupedDialect extends SqliteDialect {
  readonly #database: Database;

  constructor(database: Database) {
    super({ database: database as never });
    this.#database = database;
  }

  override createDriver(): Driver {
    return new GroupedDriver(this.#database);
  }
}

/** Transactions that are committed together. */
interface Group {
  /** Whether the commit waits for the disk. */
  readonly durable: boolean;
  /** Whether one of the transactions is done. */
  shared: boolean;
  readonly outcome: Promise<void>;
  readonly end: (error?: unknown) => void;
}

/** One of the transactions of a group. */
interface Member {
  readonly group: Group;
  /** Whether it has a savepoint to return to. */
  readonly saved: boolean;
}

/** The only connection of a database, which is used in turns. */
class GroupedDriver implements Driver {
  readonly #database: Database;
  readonly #statements: PreparedStatements;
  readonly #waiting: (() => void)[] = [];
  #taken = false;
  #group: Group | undefined;
  #durable = true;

  constructor(database: Database) {
    this.#database = database;
    this.#statements = new PreparedStatements(database);
  }

  async init(): Promise<void> {}

  /** Closes the database. It is then one file, with no files beside it. */
  async destroy(): Promise<void> {
    // What was begun before gets its turn first.
    await nextTurn();
    await this.#take();
    try {
      this.#commit();
      finish(this.#database);
    } finally {
      this.#database.close();
      this.#pass();
    }
  }

  async acquireConnection(): Promise<GroupedConnection> {
    return new GroupedConnection(this);
  }

  async releaseConnection(): Promise<void> {}

  beginTransaction(connection: GroupedConnection): Promise<void> {
    return connection.begin();
  }

  commitTransaction(connection: GroupedConnection): Promise<void> {
    return connection.commit();
  }

  rollbackTransaction(connection: GroupedConnection): Promise<void> {
    return connection.rollBack();
  }

  /** Begins a transaction. Nobody else uses the connection until `leave` or `undo`. */
  async enter(durable: boolean, saves: boolean): Promise<Member> {
    await this.#take();
    try {
      const group = await this.#join(durable);
      const saved = saves && group.shared;
      if (saved) this.#database.exec('SAVEPOINT member');
      return { group, saved };
    } catch (error) {
      this.#pass();
      throw error;
    }
  }

  /** Waits until what a transaction has done is committed. */
  async leave(member: Member): Promise<void> {
    const { group } = member;
    this.#endSavepoint(member, 'RELEASE member');
    group.shared = true;
    this.#pass();
    await group.outcome;
  }

  /** Undoes what a transaction has done. */
  async undo(member: Member): Promise<void> {
    const { group } = member;
    if (group === this.#group && !group.shared) this.#abandon();
    this.#endSavepoint(member, 'ROLLBACK TO member; RELEASE member');
    this.#pass();
    // Why it failed may depend on what others have written.
    await group.outcome.catch(() => undefined);
  }

  /** If this fails, only a part may have been undone, so nothing of the group may be committed. */
  #endSavepoint({ group, saved }: Member, text: string): void {
    if (!saved || group !== this.#group) return;
    try {
      this.#database.exec(text);
    } catch (error) {
      this.#abandon(error);
    }
  }

  /** @throws Error if SQLite has rolled back the transaction */
  run(queries: readonly PreparedQuery[], group: Group | undefined): QueryResult<unknown>[] {
    if (group !== this.#group) throw new Error('The transaction was rolled back');
    try {
      return queries.map((query) => this.#statements.run(query));
    } catch (error) {
      // SQLite rolls back everything when, for example, the disk is full.
      if (group && !this.#database.inTransaction) this.#close(error);
      throw error;
    }
  }

  /** Runs queries that write nothing. */
  async read(queries: readonly PreparedQuery[]): Promise<QueryResult<unknown>[]> {
    await this.#take();
    const group = this.#group;
    try {
      return this.run(queries, group);
    } finally {
      this.#pass();
      await group?.outcome;
    }
  }

  /** Runs what must not, or need not, be part of a transaction, such as `VACUUM`. */
  async runAlone(queries: readonly PreparedQuery[]): Promise<QueryResult<unknown>[]> {
    await this.#take();
    try {
      this.#commit();
      this.#setDurable(true);
      return this.run(queries, undefined);
    } finally {
      this.#pass();
    }
  }

  #take(): Promise<void> | undefined {
    if (this.#taken) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#taken = true;
    return undefined;
  }

  #pass(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#taken = false;
  }

  async #join(durable: boolean): Promise<Group> {
    if (this.#group && (this.#group.durable || !durable)) return this.#group;
    this.#commit();
    this.#setDurable(durable);
    await begin(this.#database);
    const group = openGroup(durable);
    this.#group = group;
    setImmediate(() => void this.#commitInTurn(group));
    return group;
  }

  async #commitInTurn(group: Group): Promise<void> {
    await this.#take();
    if (group === this.#group) this.#commit();
    this.#pass();
  }

  #commit(): void {
    if (!this.#group) return;
    try {
      this.#database.exec('COMMIT');
      this.#close();
    } catch (error) {
      this.#abandon(error);
    }
  }

  #abandon(error?: unknown): void {
    try {
      // A second rollback is an error.
      if (this.#database.inTransaction) this.#database.exec('ROLLBACK');
    } catch (rollbackError) {
      error ??= rollbackError;
    }
    this.#close(error);
  }

  #close(error?: unknown): void {
    this.#group?.end(error);
    this.#group = undefined;
  }

  /** Not within a transaction: SQLite refuses to change it there. */
  #setDurable(durable: boolean): void {
    if (durable === this.#durable) return;
    this.#database.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`);
    this.#durable = durable;
  }
}

function openGroup(durable: boolean): Group {
  let end: Group['end'] = () => {};
  const outcome = new Promise<void>((resolve, reject) => {
    end = (error) => (error === undefined ? resolve() : reject(error));
  });
  // Those who wait for it reject too.
  outcome.catch(() => undefined);
  return { durable, shared: false, outcome, end };
}

/**
 * Tables of rate limit counts and passkey ceremonies in progress. Their commits do not wait for the disk, so a power cut may lose the
 * latest ones. A crash of the process loses nothing. The next commit that waits writes them too.
 */
const changesPassing = /^(?:insert into|update|delete from) "(?:handshakes|limits)"/;

class GroupedConnection implements StatementConnection {
  readonly #driver: GroupedDriver;
  /** The transaction in progress. */
  #member: Member | undefined;

  constructor(driver: GroupedDriver) {
    this.#driver = driver;
  }

  async begin(): Promise<void> {
    this.#member = await this.#driver.enter(true, true);
  }

  async commit(): Promise<void> {
    const member = this.#member as Member;
    this.#member = undefined;
    await this.#driver.leave(member);
  }

  async rollBack(): Promise<void> {
    const member = this.#member;
    // A commit that failed has rolled back.
    if (!member) return;
    this.#member = undefined;
    await this.#driver.undo(member);
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const [result] = await this.executeAll([query]);
    return result as QueryResult<Row>;
  }

  async executeAll(queries: readonly PreparedQuery[]): Promise<QueryResult<unknown>[]> {
    const driver = this.#driver;
    if (this.#member) return driver.run(queries, this.#member.group);
    if (queries.every(reads)) return driver.read(queries);
    if (!queries.every((query) => reads(query) || writes(query))) return driver.runAlone(queries);
    const durable = !queries.every((query) => reads(query) || changesPassing.test(query.sql));
    // SQLite itself undoes a single statement.
    const member = await driver.enter(durable, queries.length > 1);
    let results: QueryResult<unknown>[];
    try {
      results = driver.run(queries, member.group);
    } catch (error) {
      await driver.undo(member);
      throw error;
    }
    await driver.leave(member);
    return results;
  }

  async defer(query: CompiledQuery): Promise<void> {
    await this.executeQuery(query);
  }

  // biome-ignore lint/correctness/useYield: Kysely wants it, and the server never streams rows.
  async *streamQuery(): AsyncIterableIterator<never> {
    throw new Error('Rows cannot be streamed');
  }
}
