import { loadDriver } from './driver.ts';

/** The right to do the scheduled work of a database: one process has it at a time. */
export interface Turn {
  /**
   * Takes the turn, or checks that it is still held.
   *
   * @returns Whether this process has it.
   * @throws Error while the database is unavailable; the turn is then lost
   */
  take(): Promise<boolean>;
  /** Releases it for another process. */
  release(): Promise<void>;
}

/** The turn of a SQLite file, which has only one server. */
export const onlyTurn: Turn = { take: async () => true, release: async () => {} };

/** Longest time to wait for the database, in milliseconds. */
const patience = 5_000;

/** Servers in other schemas of the database have separate turns. */
const lock = 'select coalesce(pg_try_advisory_lock(727469652, hashtext(current_schema())), false) as held';

// If the holder's machine disappears, PostgreSQL notices only after two hours without these settings.
const settings = `set application_name = 'passage-server schedule';
  set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3`;

/** A session advisory lock on a separate connection. It ends with the connection, and so with the process. */
export async function postgresTurn(connectionString: string): Promise<Turn> {
  const { default: pg } = await loadDriver('PostgreSQL', () => import('pg'));
  let current: InstanceType<typeof pg.Client> | undefined;
  let held = false;

  const drop = async (client: typeof current) => {
    if (client === current) {
      current = undefined;
      held = false;
    }
    await client?.end().catch(() => undefined);
  };
  const connect = async () => {
    const client = new pg.Client({
      connectionString,
      keepAlive: true,
      connectionTimeoutMillis: patience,
      query_timeout: patience,
    });
    client.on('error', () => void drop(client));
    client.on('end', () => void drop(client));
    current = client;
    await client.connect();
    await client.query(settings);
    return client;
  };

  return {
    async take() {
      const client =
        current ??
        (await connect().catch(async (error) => {
          await drop(current);
          throw error;
        }));
      try {
        const { rows } = await client.query<{ held: boolean }>(held ? 'select true as held' : lock);
        held = rows[0]?.held ?? false;
        return held;
      } catch (error) {
        await drop(client);
        throw error;
      }
    },
    release: () => drop(current),
  };
}
