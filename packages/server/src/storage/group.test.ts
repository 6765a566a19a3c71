import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import Database from 'libsql';
import { afterAll, describe, expect, it } from 'vitest';
import { openStorage, type Queries, type Storage } from './database.ts';
import { prepare, prepareInsert, run, runAll } from './statements.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-group-'));
afterAll(() => rmSync(folder, { recursive: true }));

const insert = prepareInsert('meta', ['name', 'value']);
const find = prepare((db, { name }: { name: string }) =>
  db.selectFrom('meta').selectAll().where('name', '=', name),
);

const row = (name: string) => insert({ name, value: '' });

/** Writes a row whose user is missing, which SQLite notices when it commits. */
async function writeOrphan(trx: Queries): Promise<void> {
  await sql`pragma defer_foreign_keys = on`.execute(trx);
  await sql`insert into sessions (id, app_id, user_id, created_at, expires_at) values ('s', 'a', 'u', 0, 0)`.execute(
    trx,
  );
}

/** Runs a test with a new file, and with a second connection, which sees what is committed and nothing else. */
async function using(test: (storage: Storage, names: () => string[]) => Promise<void>): Promise<void> {
  const file = join(folder, `${Math.random()}.db`);
  const storage = await openStorage(file);
  const other = new Database(file);
  const names = () =>
    other
      .prepare(`select name from meta where value = '' order by name`)
      .all()
      .map((found) => (found as { name: string }).name);
  try {
    await test(storage, names);
  } finally {
    other.close();
    await storage.close();
  }
}

describe('Writes to SQLite at the same time', () => {
  it('are all committed when the first of them has its result', () =>
    using(async ({ db }, names) => {
      const all = [
        run(db, row('one')),
        db.transaction().execute((trx) => run(trx, row('two'))),
        runAll(db, [row('three'), row('four')]),
      ];
      expect(names()).toEqual([]);
      await Promise.race(all);
      expect(names()).toEqual(['four', 'one', 'three', 'two']);
      await Promise.all(all);
    }));

  it('are committed before anybody reads them', () =>
    using(async ({ db }, names) => {
      const written = run(db, row('one'));
      expect(await run(db, find({ name: 'one' }))).toHaveLength(1);
      expect(names()).toEqual(['one']);
      await written;
    }));

  it('are committed before another one fails because of them', () =>
    using(async ({ db }, names) => {
      const written = run(db, row('one'));
      await expect(run(db, row('one'))).rejects.toMatchObject({ code: 'SQLITE_CONSTRAINT_PRIMARYKEY' });
      expect(names()).toEqual(['one']);
      await written;
    }));

  it('that fail undo what they wrote, and nothing else', () =>
    using(async ({ db }, names) => {
      const fail = async (trx: Queries, name: string) => {
        await run(trx, row(name));
        throw new Error('Changed its mind');
      };
      const outcomes = await Promise.allSettled([
        db.transaction().execute((trx) => fail(trx, 'none')),
        run(db, row('one')),
        db.transaction().execute((trx) => fail(trx, 'two')),
        runAll(db, [row('three'), row('three')]),
        run(db, row('one')),
        db.transaction().execute((trx) => run(trx, row('four'))),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual([
        'rejected',
        'fulfilled',
        'rejected',
        'rejected',
        'rejected',
        'fulfilled',
      ]);
      expect(names()).toEqual(['four', 'one']);
    }));

  it('fail all if they cannot be committed, and the next ones do not', () =>
    using(async ({ db }, names) => {
      const outcomes = await Promise.allSettled([
        run(db, row('one')),
        db.transaction().execute(writeOrphan),
        run(db, find({ name: 'one' })),
      ]);
      for (const outcome of outcomes)
        expect(outcome).toMatchObject({ reason: { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' } });
      await run(db, row('two'));
      expect(names()).toEqual(['two']);
    }));

  it.each([
    ['ended', async () => {}],
    [
      'undone',
      async () => {
        throw new Error('Changed its mind');
      },
    ],
  ])('fail all if one of them cannot be %s, and the next ones do not', (_name, finish) =>
    using(async ({ db }, names) => {
      const outcomes = await Promise.allSettled([
        run(db, row('one')),
        db.transaction().execute(async (trx) => {
          await run(trx, row('two'));
          await sql`release member`.execute(trx);
          await finish();
        }),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
      await run(db, row('three'));
      expect(names()).toEqual(['three']);
    }),
  );

  it('fail all that SQLite has rolled back, and the next ones do not', () =>
    using(async ({ db }, names) => {
      const outcomes = await Promise.allSettled([
        run(db, row('one')),
        db.transaction().execute(async (trx) => {
          // As SQLite does when the disk is full, for example.
          await sql`insert or rollback into meta (name, value) values ('one', '')`
            .execute(trx)
            .catch(() => {});
          await run(trx, row('two'));
        }),
        run(db, row('three')),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
      expect(names()).toEqual(['three']);
    }));

  it('end before a statement that must run alone', () =>
    using(async ({ db }, names) => {
      const copy = join(folder, 'copy.db');
      await Promise.all([run(db, row('one')), sql`vacuum into ${copy}`.execute(db)]);
      expect(names()).toEqual(['one']);
      const copied = new Database(copy);
      expect(copied.prepare(`select name from meta where value = ''`).all()).toEqual([{ name: 'one' }]);
      copied.close();
    }));

  it('wait for the disk after others that need not, whether those fail or not', () =>
    using(async ({ db }) => {
      for (const status of ['fulfilled', 'rejected']) {
        const count = db.insertInto('limits').values({ id: 'a', count: 1, resets_at: 1 }).execute();
        const settled = Promise.allSettled([count]);
        const level = await db
          .transaction()
          .execute((trx) => sql<{ synchronous: number }>`pragma synchronous`.execute(trx));
        // https://www.sqlite.org/pragma.html#pragma_synchronous: 2 is FULL.
        expect(level.rows).toEqual([{ synchronous: 2 }]);
        expect(await settled).toMatchObject([{ status }]);
      }
    }));

  it('are committed by close()', () =>
    using(async ({ db, close }, names) => {
      const all = [run(db, row('one')), db.transaction().execute((trx) => run(trx, row('two')))];
      await close();
      expect(names()).toEqual(['one', 'two']);
      await Promise.all(all);
    }));
});
