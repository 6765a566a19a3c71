import type { Keys } from './apps/keys.ts';
import type { StoredSettings } from './apps/settings.ts';
import type { Delivery } from './delivery/delivery.ts';
import type { Metrics } from './http/metrics.ts';
import type { ResolvedOptions } from './options.ts';
import type { Storage } from './storage/database.ts';
import type { Secrets } from './storage/secrets.ts';

/** What every part of the server works with. */
export interface Service {
  readonly options: ResolvedOptions;
  readonly storage: Storage;
  readonly db: Storage['db'];
  readonly secrets: Secrets;
  readonly keys: Keys;
  readonly delivery: Delivery;
  readonly metrics: Metrics;
  readonly clock: () => number;
  /** Apps as last read, by id. */
  readonly knownApps: Map<string, App>;
}

/** An app, as the request names it. */
export interface App {
  readonly id: string;
  readonly createdAt: number;
  readonly settings: StoredSettings;
}

/** Who sent a request. */
export interface Client {
  /** Absent when the server is called in process. */
  readonly ip: string | undefined;
  readonly userAgent: string;
}

/** Issuer of an app's tokens. */
export function issuerOf(service: Service, appId: string): string {
  return `${service.options.baseUrl}/auth/v1/apps/${appId}`;
}

/** Host that an app's passkeys belong to. */
export function rpIdOf(app: App): string {
  return new URL(app.settings.authOrigin).hostname;
}
