import { WireError } from '../errors.ts';
import { report } from '../events/record.ts';
import { countUp } from '../limits/limits.ts';
import type { App, Client, Service } from '../service.ts';
import { hashApiKey } from '../storage/secrets.ts';
import { readSettings } from './settings.ts';

/** How long an app or API key is cached, in milliseconds. Other processes can change it in the meantime. */
const knownTime = 1_000;
/** Most apps, and most API keys, in the cache. */
const knownLimit = 1_000;

/**
 * Finds an app. While the database is unavailable, it returns the app as last read, so that its keys can still be served.
 *
 * @throws {@link WireError} `app_not_found`
 */
export async function requireApp(service: Service, id: string): Promise<App> {
  const { apps } = service.known;
  const known = apps.get(id);
  // The machine's clock, because tests stop the clock of the service.
  const now = performance.now();
  if (known && now - known.readAt < knownTime) return known.app;
  const query = service.db.selectFrom('apps').selectAll().where('id', '=', id);
  const row = await query.executeTakeFirst().catch((error: unknown) => {
    if (known) return known;
    throw error;
  });
  if (!row) {
    apps.delete(id);
    throw new WireError('app_not_found');
  }
  if ('app' in row) return row.app;
  const app: App = { id: row.id, createdAt: row.created_at, settings: readSettings(row.settings) };
  remember(apps, id, { app, readAt: now });
  return app;
}

/** Removes an app and its API keys from this process's cache. */
export function forgetApp({ known }: Service, id: string): void {
  known.apps.delete(id);
  for (const [hash, key] of known.apiKeys) if (key.appId === id) known.apiKeys.delete(hash);
}

function remember<Value>(known: Map<string, Value>, name: string, value: Value): void {
  if (known.size >= knownLimit) known.clear();
  known.set(name, value);
}

/** Returns the ID of the app if there is only one. */
export async function findOnlyApp(service: Service): Promise<string | undefined> {
  const rows = await service.db.selectFrom('apps').select('id').limit(2).execute();
  return rows.length === 1 ? rows[0]?.id : undefined;
}

/**
 * Checks an API key of the app, and returns its ID. A rate limit by IP address counts wrong keys only.
 *
 * @throws {@link WireError} `invalid_access_token`, `too_many_requests`
 */
export async function requireKey(
  service: Service,
  app: App,
  authorization: string | undefined,
  client: Client,
): Promise<string> {
  const id = await findKey(service, app, authorization);
  if (id) return id;
  if (authorization !== undefined) {
    await countUp(service, 'wrongKeysPerIp', app.id, client.ip);
    report(service, { type: 'api_key.wrong', appId: app.id, client });
  }
  throw new WireError('invalid_access_token');
}

async function findKey(
  service: Service,
  app: App,
  authorization: string | undefined,
): Promise<string | undefined> {
  const key = /^bearer +([A-Za-z0-9]{10}\.[A-Za-z0-9]{64})$/i.exec(authorization ?? '')?.[1];
  if (!key) return undefined;
  const hash = hashApiKey(key);
  const known = service.known.apiKeys.get(hash);
  const readAt = performance.now();
  if (known?.appId === app.id && readAt - known.readAt < knownTime) return known.id;
  // The lookup is by hash, so its time reveals nothing about the key.
  const row = await service.db
    .selectFrom('api_keys')
    .select(['id', 'last_used_at'])
    .where('hash', '=', hash)
    .where('app_id', '=', app.id)
    .executeTakeFirst();
  if (!row) return undefined;
  remember(service.known.apiKeys, hash, { id: row.id, appId: app.id, readAt });
  const now = service.clock();
  if (now - (row.last_used_at ?? 0) > 60_000) {
    const update = service.db.updateTable('api_keys').set({ last_used_at: now }).where('id', '=', row.id);
    // A full disk must not stop reads.
    await update.execute().catch((error: Error) => {
      service.options.logger.warn(
        { reason: error.message },
        'The last use of an API key could not be stored',
      );
    });
  }
  return row.id;
}
