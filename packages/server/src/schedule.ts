import { rotateSigningKeys } from './apps/rotation.ts';
import { record } from './events/record.ts';
import { itself, type Service } from './service.ts';
import { deleteUnfinishedSignups, sweep, sweepAudit, sweepWebhooks } from './storage/maintenance.ts';

/** Work that one process repeats. */
interface Job {
  /** Name in the log and in metrics. */
  name: string;
  /** Time between two starts, in milliseconds. */
  every: number;
  /** Does the work. It may be interrupted at any time, and another process may start it before it ends here. When the signal aborts, it ends early. */
  work(service: Service, signal: AbortSignal): Promise<void>;
}

const minute = 60_000;
const hour = 60 * minute;

/** All scheduled work. Jobs run concurrently. */
const jobs: readonly Job[] = [
  {
    name: 'clean-up',
    every: 10 * minute,
    async work({ db, clock, options: { auditRetention } }, signal) {
      await sweep(db, clock(), signal);
      await sweepAudit(db, clock(), auditRetention, signal);
      await sweepWebhooks(db, clock(), signal);
    },
  },
  {
    name: 'unfinished-signups',
    every: 24 * hour,
    async work(service, signal) {
      await deleteUnfinishedSignups(service.db, service.clock(), signal, (trx, appId, users) =>
        record(service, trx, { type: 'signups.deleted', appId, client: itself, details: { users } }),
      );
    },
  },
  { name: 'signing-keys', every: hour, work: rotateSigningKeys },
];

/** How often a process checks for its turn and for due work, in milliseconds. */
const interval = 5_000;

/** Names of the jobs that ran. Both lists are empty if another process has the turn or no job was due. */
export interface ScheduledRun {
  readonly completed: readonly string[];
  readonly failed: readonly string[];
}

export interface Schedule {
  /** Runs due work from now on. */
  start(): void;
  /**
   * Runs due work once.
   *
   * @throws Error while the database is unavailable
   */
  run(): Promise<ScheduledRun>;
  /** Waits for the jobs in progress. */
  close(): Promise<void>;
}

export function createSchedule(service: Service): Schedule {
  const { clock, metrics, storage, options } = service;
  const begun = new Map<string, number>();
  const underWay = new Map<string, Promise<boolean>>();
  const stop = new AbortController();
  let turn: Promise<boolean> = Promise.resolve(false);
  let timer: NodeJS.Timeout | undefined;
  let away = false;

  const takeTurn = () => {
    // One at a time, so that closing waits for all by waiting for the last.
    turn = turn.catch(() => false).then(() => !stop.signal.aborted && storage.turn.take());
    return turn;
  };
  const isDue = ({ name, every }: Job) => {
    const last = begun.get(name);
    const now = clock();
    return !underWay.has(name) && (last === undefined || now - last >= every || now < last);
  };
  const attempt = async ({ name, work }: Job) => {
    begun.set(name, clock());
    try {
      await work(service, stop.signal);
      metrics.jobSuccess.set({ job: name }, clock() / 1000);
      return true;
    } catch (error) {
      metrics.jobFailures.inc({ job: name });
      options.logger.error({ job: name, reason: (error as Error).message }, 'Scheduled job failed');
      return false;
    }
  };

  const run = async (): Promise<ScheduledRun> => {
    if (!(await takeTurn())) return { completed: [], failed: [] };
    for (const job of jobs.filter(isDue)) {
      const ended = attempt(job).finally(() => underWay.delete(job.name));
      underWay.set(job.name, ended);
    }
    const names = [...underWay.keys()];
    const succeeded = await Promise.all(underWay.values());
    return {
      completed: names.filter((_, index) => succeeded[index]),
      failed: names.filter((_, index) => !succeeded[index]),
    };
  };
  const tick = async () => {
    try {
      await run();
      away = false;
    } catch (error) {
      // Logged once: the database may be unavailable for hours.
      if (!away) options.logger.warn({ reason: (error as Error).message }, 'Scheduled work has to wait');
      away = true;
    }
  };

  return {
    run,
    start() {
      timer = setInterval(() => void tick(), interval).unref();
    },
    async close() {
      clearInterval(timer);
      stop.abort();
      await turn.catch(() => false);
      await Promise.all(underWay.values());
    },
  };
}
