// The other parts of prom-client are unused and take ten times as long to load.
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Histogram from 'prom-client/lib/histogram.js';
import Registry from 'prom-client/lib/registry.js';
import type { Metrics } from '../service.ts';

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    requests: new Histogram({
      name: 'passage_http_request_duration_seconds',
      help: 'Duration of requests in seconds, by route and status',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.025, 0.1, 0.5, 2.5],
      registers,
    }),
    events: new Counter({
      name: 'passage_events_total',
      help: 'Logins, registrations, changes of credentials, and possible attacks',
      labelNames: ['type'],
      registers,
    }),
    refusals: new Counter({
      name: 'passage_refusals_total',
      help: 'Rejected requests, by error code',
      labelNames: ['code'],
      registers,
    }),
    limits: new Counter({
      name: 'passage_limit_refusals_total',
      help: 'Rejections by a rate limit, by its name. Messages that were not sent because of one count too',
      labelNames: ['limit'],
      registers,
    }),
    jobSuccess: new Gauge({
      name: 'passage_job_last_success_timestamp_seconds',
      help: 'When this process last completed a scheduled job, in seconds since the epoch',
      labelNames: ['job'],
      registers,
    }),
    jobFailures: new Counter({
      name: 'passage_job_failures_total',
      help: 'Scheduled jobs of this process that failed',
      labelNames: ['job'],
      registers,
    }),
  };
}
