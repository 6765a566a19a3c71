import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import {
  describeDatabases,
  makeBehindProxy,
  makeSchema,
  postgres,
  type TestDatabase,
} from '../../test/databases.ts';
import { openStorage, type Storage } from './database.ts';
import { defer, prepare, prepareInsert, prepareOne, run, runAll } from './statements.ts';

const insert = prepareInsert('meta', ['name', 'value']);
const find = prepare((db, { name }: { name: string }) =>
  db.selectFrom('meta').selectAll().where('name', '=', name),
);

async function using(
  make: () => Promise<TestDatabase>,
  test: (storage: Storage, location: string) => Promise<void>,
): Promise<void> {
  const database = await make();
  const storage = await openStorage(database.location);
  try {
    await test(storage, database.location);
  } finally {
    await storage.close();
    await database.drop();
  }
}

describeDatabases('Statements', (make) => {
  it('run in order, each with its own values', () =>
    using(make, async ({ db }) => {
      const [, one, two] = await runAll(db, [
        insert({ name: 'one', value: '1' }),
        find({ name: 'one' }),
        find({ name: 'two' }),
      ]);
      expect(one).toEqual([{ name: 'one', value: '1' }]);
      expect(two).toEqual([]);
    }));

  it('that find at most one row give that row and nothing else, or none', () =>
    using(make, async ({ db }) => {
      const findOne = prepareOne((queries, { name }: { name: string }) =>
        queries.selectFrom('meta').selectAll().where('name', '=', name),
      );
      await run(db, insert({ name: 'one', value: '1' }));
      expect(await run(db, findOne({ name: 'one' }))).toEqual([{ name: 'one', value: '1' }]);
      expect(await run(db, findOne({ name: 'two' }))).toEqual([]);
    }));

  it('change nothing if one of them fails', () =>
    using(make, async ({ db }) => {
      const row = insert({ name: 'twice', value: '' });
      await expect(runAll(db, [row, row])).rejects.toThrow(/unique|constraint/i);
      expect(await run(db, find({ name: 'twice' }))).toEqual([]);
    }));

  it('that are deferred are seen by the next one', () =>
    using(make, async ({ db }) => {
      const seen = await db.transaction().execute(async (trx) => {
        await defer(trx, insert({ name: 'deferred', value: '1' }));
        return run(trx, find({ name: 'deferred' }));
      });
      expect(seen).toEqual([{ name: 'deferred', value: '1' }]);
    }));

  it('that are deferred are committed, and fail with the transaction', () =>
    using(make, async ({ db }) => {
      const write = (names: string[], error?: Error) =>
        db.transaction().execute(async (trx) => {
          for (const name of names) await defer(trx, insert({ name, value: '' }));
          if (error) throw error;
        });
      await write(['committed']);
      await expect(write(['undone', 'committed'])).rejects.toThrow(/unique|constraint/i);
      await expect(write(['abandoned'], new Error('abandoned'))).rejects.toThrow('abandoned');
      const found = await runAll(
        db,
        ['committed', 'undone', 'abandoned'].map((name) => find({ name })),
      );
      expect(found.map((rows) => rows.length)).toEqual([1, 0, 0]);
    }));
});

describe('Prepared statements of PostgreSQL', () => {
  const make = () => makeSchema(postgres());
  const listed = sql<{ name: string }>`select name from pg_prepared_statements`;
  // As a pooler does that gives the next transaction another connection.
  const lose = sql`deallocate all`;

  it('stay in the connection', () =>
    using(make, async ({ db }) => {
      for (let time = 0; time < 2; time += 1) await run(db, find({ name: 'a' }));
      const { rows } = await listed.execute(db);
      expect(rows).toEqual([{ name: expect.stringMatching(/^passage_[\w-]{43}$/) }]);
    }));

  it('are done without once the connection has lost one', () =>
    using(make, async ({ db }) => {
      await run(db, find({ name: 'a' }));
      await lose.execute(db);
      expect(await runAll(db, [find({ name: 'a' }), insert({ name: 'a', value: '' })])).toEqual([[], []]);
      expect(await run(db, find({ name: 'a' }))).toHaveLength(1);
      expect((await listed.execute(db)).rows).toEqual([]);
    }));

  it('are done without once the connection has one of another process', () =>
    using(make, async ({ db }, location) => {
      await run(db, find({ name: 'a' }));
      const [first] = (await listed.execute(db)).rows;
      const other = await openStorage(location);
      await sql.raw(`prepare "${first?.name}" as select 1`).execute(other.db);
      expect(await run(other.db, find({ name: 'a' }))).toEqual([]);
      await other.close();
    }));

  it('are done without once a transaction has lost one, and the transaction is repeated', () =>
    using(make, async ({ db }) => {
      await run(db, find({ name: 'a' }));
      await lose.execute(db);
      let times = 0;
      await db.transaction().execute(async (trx) => {
        times += 1;
        await defer(trx, insert({ name: 'a', value: '' }));
        await run(trx, find({ name: 'a' }));
      });
      expect(times).toBe(2);
      expect(await run(db, find({ name: 'a' }))).toHaveLength(1);
    }));

  it('are done without once a newer version has added a column', () =>
    using(make, async ({ db }) => {
      await run(db, find({ name: 'a' }));
      await sql`alter table meta add column newer text`.execute(db);
      await db.transaction().execute((trx) => run(trx, find({ name: 'a' })));
      expect(await runAll(db, [find({ name: 'a' })])).toEqual([[]]);
    }));
});

describe('Connections of PostgreSQL', () => {
  /** A pooler makes up the process ID of its connections. */
  const makePooled = async () => {
    const { database, close } = await makeBehindProxy((bytes, _, to) => {
      // https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-BACKENDKEYDATA
      const at = bytes.indexOf('K\0\0\0\x0c', 0, 'latin1');
      if (at >= 0) bytes.writeInt32BE(1, at + 5);
      to.write(bytes);
    });
    const drop = async () => {
      close();
      await database.drop();
    };
    return { location: database.location, drop };
  };
  const isAlone = sql<{ alone: boolean }>`select now() = statement_timestamp() as alone`;
  const setPath = (path: string) => sql`select set_config('search_path', ${path}, false)`;

  // As pg_dump and pg_restore do through a pooler of transactions.
  it('keep the schema after another client of the pooler has chosen none, or another', () =>
    using(makePooled, async ({ db }) => {
      const other = await makeSchema(postgres());
      const elsewhere = await openStorage(other.location);
      await run(elsewhere.db, insert({ name: 'a', value: 'of another server' }));
      await run(db, insert({ name: 'a', value: 'own' }));
      const own = [{ name: 'a', value: 'own' }];
      for (const path of ['', new URL(other.location).searchParams.get('options')?.split('=')[1] ?? '']) {
        await setPath(path).execute(db);
        expect(await run(db, find({ name: 'a' }))).toEqual(own);
        expect(await runAll(db, [find({ name: 'a' }), find({ name: 'a' })])).toEqual([own, own]);
        expect(await db.transaction().execute((trx) => run(trx, find({ name: 'a' })))).toEqual(own);
      }
      await elsewhere.close();
      await other.drop();
    }));

  it('run single statements in a transaction of their own only behind a pooler', async () => {
    await using(makePooled, async ({ db }) => {
      expect((await isAlone.execute(db)).rows).toEqual([{ alone: false }]);
    });
    await using(
      () => makeSchema(postgres()),
      async ({ db }) => {
        expect((await isAlone.execute(db)).rows).toEqual([{ alone: true }]);
      },
    );
  });
});
