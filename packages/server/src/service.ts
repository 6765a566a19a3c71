import type { KeyObject } from 'node:crypto';
import type { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Delivery } from './delivery/delivery.ts';
import type { ResolvedOptions } from './options.ts';
import type { StoredSettings } from './settings.ts';
import type { Queries, Storage } from './storage/database.ts';
import type { AuditRow } from './storage/schema.ts';
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
  readonly known: Known;
  /** Requests and messages that `close` waits for. */
  readonly underWay: Set<Promise<unknown>>;
  /** Aborted when the server begins to close. The reason is the time. */
  readonly closing: AbortController;
  /** Starts sending stored events to the event webhook, without waiting for it. */
  readonly wake: () => void;
  /** Who is recorded for work without a request: the program that created the server, or a command. */
  readonly operator: Client;
}

/** Cache of apps and their API keys. Entries are valid for a second, and longer only while the database is unavailable. */
export interface Known {
  readonly apps: Map<string, { readonly app: App; readonly readAt: number }>;
  /** By hash of the key. */
  readonly apiKeys: Map<string, { readonly id: string; readonly appId: string; readonly readAt: number }>;
}

/** Public key, as the JWKS lists it. */
export interface PublicJwk {
  kty: 'RSA';
  alg: 'RS256';
  use: 'sig';
  kid: string;
  n: string;
  e: string;
}

export interface SigningKey {
  kid: string;
  key: KeyObject;
}

/** Counters of one server. Labels come from the route table and the error table, never from a request. */
export interface Metrics {
  readonly registry: Registry;
  readonly requests: Histogram<'method' | 'route' | 'status'>;
  readonly events: Counter<'type'>;
  readonly refusals: Counter<'code'>;
  readonly limits: Counter<'limit'>;
  readonly jobSuccess: Gauge<'job'>;
  readonly jobFailures: Counter<'job'>;
}

/** Signing keys of all apps. */
export interface Keys {
  /** Creates the first key of an app, or stores the given one. */
  create(queries: Queries, appId: string, jwk?: JsonWebKey): Promise<void>;
  /**
   * Creates a new key. It is published at once and signs ten minutes later. The old key stays published until every token that it
   * signed has expired. With `immediately`, for use after a leak, the old keys are deleted: all access tokens of the app become invalid.
   */
  rotate(
    queries: Queries,
    appId: string,
    tokenLifetime: number,
    immediately?: boolean,
  ): Promise<{ id: string; signsAt: Date }>;
  /**
   * Creates a new key if the newest is older than a time. If several processes call this at once, only one creates a key.
   *
   * @returns `undefined` if there is a newer key.
   */
  rotateOlder(
    queries: Queries,
    appId: string,
    tokenLifetime: number,
    than: number,
  ): Promise<{ id: string; signsAt: Date } | undefined>;
  /**
   * Deletes a key. Access tokens that it signed become invalid.
   *
   * @throws SigningKeyNotFoundError if there is no such key
   * @throws LastSigningKeyError if it is the only key
   */
  revoke(queries: Queries, appId: string, id: string): Promise<void>;
  /** Keys to publish. While the database is unavailable, the last known ones. */
  published(appId: string): Promise<PublicJwk[]>;
  /** The key that signs now: the newest one that has been published long enough. */
  signing(appId: string): Promise<SigningKey>;
  /** Encrypts the private keys of all apps with another secret. */
  reseal(queries: Queries, next: Secrets): Promise<number>;
  /** Removes the keys of an app from the cache. */
  forget(appId: string): void;
}

/** An app with its settings. */
export interface App {
  readonly id: string;
  readonly createdAt: number;
  readonly settings: StoredSettings;
}

/**
 * Who acts: a user, the back end by its API key, the operator by a command, the program by `server.apps`, or the
 * server itself.
 */
export interface Actor {
  readonly kind: AuditRow['actor'];
  /** ID of the user or the API key. */
  readonly id?: string | undefined;
}

/** Who sent a request, or who acts without one. */
export interface Client {
  /** Absent when the server is called in process. */
  readonly ip: string | undefined;
  readonly userAgent: string;
  /** Absent in the Auth API, where the user acts. */
  readonly actor?: Actor;
}

/**
 * How far ahead other clocks may be, in milliseconds. Codes, links and ceremonies from later than that were made while a
 * clock was wrong. They are void, because they would be valid for too long.
 */
export const clockSkew = 300_000;

/** The server, when it acts by itself. */
export const itself = { ip: undefined, userAgent: '', actor: { kind: 'server' } } as const satisfies Client;

/** Makes `close` wait for some work. */
export function track<T>({ underWay }: Service, work: Promise<T>): Promise<T> {
  underWay.add(work);
  const end = () => underWay.delete(work);
  work.then(end, end);
  return work;
}

/** Issuer of an app's tokens. */
export function issuerOf(service: Service, appId: string): string {
  return `${service.options.baseUrl}/auth/v1/apps/${appId}`;
}

/** Host that an app's passkeys belong to. */
export function rpIdOf(app: App): string {
  return new URL(app.settings.authOrigin).hostname;
}
