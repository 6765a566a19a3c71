import { randomUUID } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import type { Schema } from './schema.ts';
import { prepare, run, runAll } from './statements.ts';

/** The right to do the scheduled work of a database: one process has it at a time. */
export interface Turn {
  /**
   * Takes the turn, or renews it.
   *
   * @returns Whether this process has it.
   * @throws Error while the database is unavailable
   */
  take(): Promise<boolean>;
  /** Releases it for another process. */
  release(): Promise<void>;
}

/** The turn of a SQLite file, which has only one server. */
export const onlyTurn: Turn = { take: async () => true, release: async () => {} };

/** How long a turn lasts that is not renewed, in seconds. The schedule renews it every five. */
const duration = 15;

const now = sql<number>`extract(epoch from clock_timestamp())::bigint`;
// PostgreSQL may read it in the other rows of the table, too.
const endsAt = sql<number>`substring(value from '^[0-9]{1,12}')::bigint`;
const heldBy = sql<string>`split_part(value, ' ', 2)`;

const create = prepare((db) =>
  db
    .insertInto('meta')
    .values({ name: 'turn', value: '0' })
    .onConflict((conflict) => conflict.doNothing()),
);

const renew = prepare((db, { holder }: { holder: string }) =>
  db
    .updateTable('meta')
    .set({ value: sql`${now} + ${sql.lit(duration)} || ' ' || ${holder}::text` })
    .where('name', '=', 'turn')
    .where((where) => where.or([where(heldBy, '=', holder), where(endsAt, '<=', now)]))
    .returning('name'),
);

const end = prepare((db, { holder }: { holder: string }) =>
  db.deleteFrom('meta').where('name', '=', 'turn').where(heldBy, '=', holder),
);

/**
 * A row that says who has the turn, and until when by the clock of the database. An advisory lock would not do: it belongs to a
 * connection, which a pooler gives to other processes and keeps open when the process ends.
 */
export function postgresTurn(db: Kysely<Schema>): Turn {
  const holder = randomUUID();
  let held = false;
  return {
    async take() {
      // If this fails, closing must not wait for the database again.
      held = false;
      const [, rows] = await runAll(db, [create({}), renew({ holder })]);
      held = rows.length > 0;
      return held;
    },
    async release() {
      // While the database is unavailable, nothing can be released: the turn expires.
      if (held) await run(db, end({ holder })).catch(() => undefined);
    },
  };
}
