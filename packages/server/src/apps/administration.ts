import { WireError } from '../errors.ts';
import type { ImportedUser } from '../options.ts';
import type { App, Service } from '../service.ts';
import {
  type AppSettings,
  type NewApp,
  type ResolvedApp,
  readNewApp,
  type StoredSettings,
} from '../settings.ts';
import type { Queries } from '../storage/database.ts';
import { hashApiKey, randomText } from '../storage/secrets.ts';
import { requireApp } from './apps.ts';
import { warnOfAddress } from './origins.ts';
import { changeSettings, readSettings } from './settings.ts';

/** An app and its settings. */
export interface AppDescription extends Readonly<StoredSettings> {
  readonly id: string;
  readonly createdAt: Date;
}

/** An API key, without what it says: that is shown once, when it is made. */
export interface ApiKeyDescription {
  readonly id: string;
  readonly name: string;
  /** First ten characters. */
  readonly prefix: string;
  readonly createdAt: Date;
  readonly lastUsedAt: Date | undefined;
}

/** What only the operator of the server may do. */
export interface PassageApps {
  /** Makes an app, and its first API key, which is shown only here. */
  create(app?: NewApp): Promise<{ appId: string; apiKey: string }>;
  list(): Promise<AppDescription[]>;
  get(appId: string): Promise<AppDescription | undefined>;
  /** Changes settings. Those left out keep their values. */
  update(appId: string, settings: AppSettings): Promise<AppDescription>;
  /** Deletes an app with its users, passkeys and keys. */
  delete(appId: string): Promise<void>;
  listApiKeys(appId: string): Promise<ApiKeyDescription[]>;
  /** Makes an API key, which is shown only here. */
  createApiKey(appId: string, name?: string): Promise<{ id: string; apiKey: string }>;
  revokeApiKey(appId: string, keyId: string): Promise<void>;
  /**
   * Makes a new signing key. Tokens of the old one stay good until they expire; with `immediately`, after a leak, all access tokens
   * of the app are void at once.
   */
  rotateSigningKey(appId: string, options?: { immediately?: boolean | undefined }): Promise<void>;
  /**
   * Adds users with the ids they have, all or none: records as the Management API answers them. Passkeys are not among
   * them. Those whose id is there already are left as they are, so that an import can be repeated.
   *
   * @throws TypeError that names the first record that cannot be imported, and why
   */
  importUsers(appId: string, users: readonly ImportedUser[]): Promise<{ imported: number; existing: number }>;
}

/** Adds users to an app, all or none. */
type ImportUsers = (
  service: Service,
  app: App,
  users: readonly ImportedUser[],
) => Promise<{ imported: number; existing: number }>;

export function createAdministration(service: Service, importUsers: ImportUsers): PassageApps {
  const { db } = service;
  const apps: PassageApps = {
    create: async (app = {}) => {
      const resolved = readNewApp(app);
      const made = await db.transaction().execute((trx) => createApp(service, trx, resolved));
      warnOfAddress(service, await requireApp(service, made.appId));
      return made;
    },
    async list() {
      const rows = await db.selectFrom('apps').selectAll().orderBy('created_at').orderBy('id').execute();
      return rows.map(describe);
    },
    async get(appId) {
      const row = await db.selectFrom('apps').selectAll().where('id', '=', appId).executeTakeFirst();
      return row && describe(row);
    },
    update: (appId, settings) =>
      db.transaction().execute(async (trx) => {
        const row = await trx.selectFrom('apps').selectAll().where('id', '=', appId).executeTakeFirst();
        if (!row) throw new WireError('app_not_found');
        const changed = changeSettings(readSettings(row.settings), settings);
        const next = { settings: JSON.stringify(changed), updated_at: service.clock() };
        await trx.updateTable('apps').set(next).where('id', '=', appId).execute();
        warnOfAddress(service, { id: appId, settings: changed });
        return describe({ ...row, ...next });
      }),
    async delete(appId) {
      await db.deleteFrom('apps').where('id', '=', appId).execute();
      service.keys.forget(appId);
    },
    async listApiKeys(appId) {
      const rows = await db
        .selectFrom('api_keys')
        .selectAll()
        .where('app_id', '=', appId)
        .orderBy('created_at')
        .execute();
      return rows.map((row) => ({
        id: row.id,
        name: row.name,
        prefix: row.prefix,
        createdAt: new Date(row.created_at),
        lastUsedAt: row.last_used_at === null ? undefined : new Date(row.last_used_at),
      }));
    },
    async createApiKey(appId, name = 'API key') {
      const { id } = await requireApp(service, appId);
      return insertApiKey(service, db, id, name);
    },
    async revokeApiKey(appId, keyId) {
      await db.deleteFrom('api_keys').where('app_id', '=', appId).where('id', '=', keyId).execute();
      service.options.logger.info({ app: appId, key: keyId, event: 'api_key.revoked' }, 'Event');
    },
    async rotateSigningKey(appId, { immediately = false } = {}) {
      const app = await apps.get(appId);
      if (!app) throw new WireError('app_not_found');
      await service.keys.rotate(appId, app.sessionTimeoutLength * 60, immediately);
      service.options.logger.info({ app: appId, immediately, event: 'signing_key.rotated' }, 'Event');
    },
    importUsers: async (appId, users) => importUsers(service, await requireApp(service, appId), users),
  };
  return apps;
}

/** Makes the first app, unless there is one. Of two processes that start together one makes it. */
export function createFirstApp(service: Service): Promise<{ appId: string; apiKey: string } | undefined> {
  return service.db.transaction().execute(async (trx) => {
    // Whoever inserts this row makes the app; the other one waits for it.
    const first = await trx
      .insertInto('meta')
      .values({ name: 'first app', value: 'made' })
      .onConflict((conflict) => conflict.doNothing())
      .returning('name')
      .executeTakeFirst();
    return first ? createApp(service, trx, service.options.app) : undefined;
  });
}

async function createApp(service: Service, trx: Queries, app: ResolvedApp) {
  const { id: appId = randomText(), apiKey, signingKey, ...settings } = app;
  const now = service.clock();
  const { origin, basePath } = service.options;
  const authOrigin = settings.authOrigin ?? origin;
  const loginUrl = settings.loginUrl ?? (authOrigin === origin ? `${basePath}/login` : '/login');
  const stored: StoredSettings = { ...settings, authOrigin, loginUrl };
  const row = { id: appId, settings: JSON.stringify(stored), created_at: now, updated_at: now };
  const inserted = await trx
    .insertInto('apps')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst();
  if (!inserted) throw new TypeError('"id" of an app is taken');
  await service.keys.create(trx, appId, signingKey);
  const key = await insertApiKey(service, trx, appId, 'First API key', apiKey);
  return { appId, apiKey: key.apiKey };
}

async function insertApiKey(
  service: Service,
  queries: Queries,
  appId: string,
  name: string,
  apiKey = `${randomText(10)}.${randomText(64)}`,
) {
  const id = randomText();
  await queries
    .insertInto('api_keys')
    .values({
      id,
      app_id: appId,
      name,
      prefix: apiKey.slice(0, 10),
      hash: hashApiKey(apiKey),
      created_at: service.clock(),
      last_used_at: null,
    })
    .execute();
  service.options.logger.info({ app: appId, key: id, event: 'api_key.created' }, 'Event');
  return { id, apiKey };
}

function describe(row: { id: string; settings: string; created_at: number }): AppDescription {
  return { ...readSettings(row.settings), id: row.id, createdAt: new Date(row.created_at) };
}
