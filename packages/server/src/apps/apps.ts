import { WireError } from '../errors.ts';
import { countUp } from '../limits/limits.ts';
import { warn } from '../limits/warnings.ts';
import type { App, Client, Service } from '../service.ts';
import { hashApiKey } from '../storage/secrets.ts';
import { readSettings } from './settings.ts';

/**
 * Finds an app. While the database does not answer, the app as last seen: its keys have to be readable then too.
 *
 * @throws {@link WireError} `app_not_found`
 */
export async function requireApp(service: Service, id: string): Promise<App> {
  const query = service.db.selectFrom('apps').selectAll().where('id', '=', id);
  const row = await query.executeTakeFirst().catch((error: unknown) => {
    const known = service.knownApps.get(id);
    if (known) return known;
    throw error;
  });
  if (!row) {
    service.knownApps.delete(id);
    throw new WireError('app_not_found');
  }
  if (!('created_at' in row)) return row;
  const settings = readSettings(row.settings);
  const app: App = { id: row.id, createdAt: row.created_at, settings };
  if (service.knownApps.size < 1_000) service.knownApps.set(id, app);
  return app;
}

/** Returns the app's id when the server has just one. */
export async function findOnlyApp(service: Service): Promise<string | undefined> {
  const rows = await service.db.selectFrom('apps').select('id').limit(2).execute();
  return rows.length === 1 ? rows[0]?.id : undefined;
}

/**
 * Checks an API key of the app. Wrong ones are limited by IP address, the right one never is.
 *
 * @throws {@link WireError} `invalid_access_token`, `too_many_requests`
 */
export async function requireKey(
  service: Service,
  app: App,
  authorization: string | undefined,
  { ip }: Client,
): Promise<void> {
  if (await isKey(service, app, authorization)) return;
  if (authorization !== undefined) {
    await countUp(service, 'wrongKeysPerIp', app.id, ip);
    warn(service, 'api_key.wrong', { app: app.id, ip });
  }
  throw new WireError('invalid_access_token');
}

async function isKey(service: Service, app: App, authorization: string | undefined): Promise<boolean> {
  const key = /^bearer +([A-Za-z0-9]{10}\.[A-Za-z0-9]{64})$/i.exec(authorization ?? '')?.[1];
  if (!key) return false;
  // Looked up by its hash: how long that takes says nothing about the key.
  const row = await service.db
    .selectFrom('api_keys')
    .select(['id', 'last_used_at'])
    .where('hash', '=', hashApiKey(key))
    .where('app_id', '=', app.id)
    .executeTakeFirst();
  if (!row) return false;
  const now = service.clock();
  if (now - (row.last_used_at ?? 0) > 60_000) {
    const update = service.db.updateTable('api_keys').set({ last_used_at: now }).where('id', '=', row.id);
    // Reading goes on while the disk is full.
    await update.execute().catch((error: Error) => {
      service.options.logger.warn({ reason: error.message }, 'Use of an API key could not be noted');
    });
  }
  return true;
}
