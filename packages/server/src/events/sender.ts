import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import type { DeliveryError } from '../delivery/error.ts';
import { type Endpoint, postSigned } from '../delivery/signed.ts';
import type { Service } from '../service.ts';
import type { WebhookRow } from '../storage/schema.ts';
import { claim, noteFailure, noteSent, oldestWaiting } from './queue.ts';

/** How often a process looks for events that are due, in milliseconds. */
const interval = 1_000;
/** Most concurrent requests. */
const lanes = 10;
/** How long `stop` waits for requests in progress, in milliseconds. */
const grace = 3_000;

/** Posts waiting events. */
export interface Sender {
  /** Sends events until none is due. Rejects if the database is unavailable. */
  sendDue(): Promise<void>;
  /** Sends events as they become due, from now on. */
  start(): void;
  /** Sends due events in the background, if the sender was started. */
  wake(): void;
  /** Stops sending, and waits a moment for requests in progress. Events without an answer are sent again after the next start. */
  stop(): Promise<void>;
}

export function createSender(service: Service, endpoint: Endpoint): Sender {
  const { logger } = service.options;
  const count = createMetrics(service);
  const stopping = new AbortController();
  let round: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  let down = false;
  let timer: NodeJS.Timeout | undefined;

  const send = async (row: WebhookRow) => {
    const failure = await postSigned(endpoint, row.id, row.body, stopping.signal);
    if (!failure) {
      await noteSent(service, row);
      count('sent');
      down = false;
      return;
    }
    // The request was aborted: whether the receiver got the event is unknown.
    if (stopping.signal.aborted) return;
    const answer = answerOf(failure);
    const givenUp = await noteFailure(service, row, answer);
    count(givenUp ? 'failed' : 'retried');
    const fields = { app: row.app_id, user: row.user_id, webhook: row.id, type: row.type, answer };
    if (givenUp) logger.error(fields, 'Event webhook failed: repeat it with passage-server webhooks resend');
    else if (!down) logger.warn(fields, 'Event webhook was not accepted and will be retried');
    down = true;
  };
  const run = async () => {
    do {
      again = false;
      for (;;) {
        const rows = stopped ? [] : await claim(service, endpoint.timeout, lanes);
        if (rows.length === 0) break;
        const ends = await Promise.allSettled(rows.map(send));
        for (const end of ends) if (end.status === 'rejected') throw end.reason;
      }
    } while (again && !stopped);
  };
  const sendDue = () => {
    again = true;
    round ??= run().finally(() => {
      round = undefined;
    });
    return round;
  };
  // If the database is unavailable, the next round tries again.
  const wake = () => void sendDue().catch(() => undefined);
  return {
    sendDue,
    start() {
      timer = setInterval(wake, interval).unref();
    },
    wake: () => timer && wake(),
    async stop() {
      stopped = true;
      clearInterval(timer);
      timer = undefined;
      const end = setTimeout(() => stopping.abort(), grace);
      await round?.catch(() => undefined);
      clearTimeout(end);
    },
  };
}

/** Describes the answer of the receiver for the operator. */
export function answerOf({ failure, status }: DeliveryError): string {
  return status === undefined ? failure : `status ${status}`;
}

type Outcome = 'sent' | 'retried' | 'failed';

function createMetrics(service: Service): (outcome: Outcome) => void {
  const { registry } = service.metrics;
  const outcomes = new Counter({
    name: 'passage_event_webhooks_total',
    help: 'Attempts to send an event, by outcome',
    labelNames: ['outcome'],
    registers: [registry],
  });
  new Gauge({
    name: 'passage_event_webhooks_oldest_waiting_seconds',
    help: 'Age of the oldest waiting event in seconds; 0 if there is none',
    registers: [registry],
    async collect() {
      // While the database is unavailable, the last known age stays.
      const oldest = await oldestWaiting(service).catch(() => null);
      if (oldest !== null) this.set(oldest === undefined ? 0 : (service.clock() - oldest) / 1000);
    },
  });
  return (outcome) => outcomes.inc({ outcome });
}
