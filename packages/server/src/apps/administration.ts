import { ApiKeyNotFoundError, AppExistsError, AppNotFoundError, WireError } from '../errors.ts';
import { type Happening, record } from '../events/record.ts';
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
import { forgetApp, requireApp } from './apps.ts';
import { changeSettings, listChanges, readSettings } from './settings.ts';
import { warnOfAddress } from './warnings.ts';

/** An app and its settings. */
export interface AppDescription extends Readonly<StoredSettings> {
  readonly id: string;
  readonly createdAt: Date;
}

/** An API key without its secret, which is shown only when the key is created. */
export interface ApiKeyDescription {
  readonly id: string;
  readonly name: string;
  /** First ten characters. */
  readonly prefix: string;
  readonly createdAt: Date;
  readonly lastUsedAt: Date | undefined;
}

/** A signing key, without the key itself. */
export interface SigningKeyDescription {
  /** `kid` in the JWKS. */
  readonly id: string;
  readonly createdAt: Date;
  /** When the key begins to sign. Before, it is only published, so that verifiers know it in time. */
  readonly signsAt: Date;
  /** When the key stops being published. Absent for the newest. */
  readonly retiresAt: Date | undefined;
}

/** Administration of apps, keys and users, for the operator of the server. */
export interface PassageApps {
  /**
   * Creates an app and its first API key, which is returned only here.
   *
   * @throws TypeError naming the invalid setting
   * @throws {@link AppExistsError} if another app has the `id`
   */
  create(app?: NewApp): Promise<{ appId: string; apiKey: string }>;
  list(): Promise<AppDescription[]>;
  get(appId: string): Promise<AppDescription | undefined>;
  /**
   * Changes settings. Omitted settings keep their values.
   *
   * @throws TypeError naming the invalid setting; nothing is changed then
   * @throws {@link AppNotFoundError} if there is no such app
   */
  update(appId: string, settings: AppSettings): Promise<AppDescription>;
  /**
   * Deletes an app with its users, passkeys and keys.
   *
   * @throws {@link AppNotFoundError} if there is no such app
   */
  delete(appId: string): Promise<void>;
  listApiKeys(appId: string): Promise<ApiKeyDescription[]>;
  /**
   * Creates an API key, which is returned only here.
   *
   * @throws {@link AppNotFoundError} if there is no such app
   */
  createApiKey(appId: string, name?: string): Promise<{ id: string; apiKey: string }>;
  /** @throws {@link ApiKeyNotFoundError} if the app has no such key */
  revokeApiKey(appId: string, keyId: string): Promise<void>;
  /**
   * Lists the published signing keys, oldest first.
   *
   * @throws {@link AppNotFoundError} if there is no such app
   */
  listSigningKeys(appId: string): Promise<SigningKeyDescription[]>;
  /**
   * Creates a new signing key. Tokens of the old one stay valid until they expire; with `immediately`, after a leak, all access tokens
   * of the app become invalid at once.
   *
   * @returns ID of the new key, and when it begins to sign.
   * @throws {@link AppNotFoundError} if there is no such app
   */
  rotateSigningKey(
    appId: string,
    options?: { immediately?: boolean | undefined },
  ): Promise<{ id: string; signsAt: Date }>;
  /**
   * Deletes a signing key, as after a leak: access tokens that it signed become invalid. If it was the newest, the one before it signs again.
   *
   * @throws {@link SigningKeyNotFoundError} if the app has no such key
   * @throws {@link LastSigningKeyError} if it is the only one
   */
  revokeSigningKey(appId: string, keyId: string): Promise<void>;
  /**
   * Adds users with their IDs, all or none, from records in the form of the Management API, without passkeys. Users
   * whose ID exists stay unchanged, so an import can be repeated.
   *
   * @throws TypeError that names the first record that cannot be imported, and why
   * @throws {@link AppNotFoundError} if there is no such app
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
  const note = (trx: Queries, happening: Omit<Happening, 'client'>) =>
    record(service, trx, { ...happening, client: service.operator });
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
    async update(appId, settings) {
      const changed = await db.transaction().execute(async (trx) => {
        // Locks the row, because a concurrent change would otherwise be lost.
        const row = await trx
          .updateTable('apps')
          .set((app) => ({ updated_at: app.ref('updated_at') }))
          .where('id', '=', appId)
          .returningAll()
          .executeTakeFirst();
        if (!row) throw new AppNotFoundError();
        const before = readSettings(row.settings);
        const settled = changeSettings(before, settings);
        const changes = listChanges(before, settled);
        const next = { settings: JSON.stringify(settled), updated_at: service.clock() };
        await trx.updateTable('apps').set(next).where('id', '=', appId).execute();
        if (changes) await note(trx, { type: 'app.updated', appId, details: { settings: changes } });
        warnOfAddress(service, { id: appId, settings: settled });
        return describe({ ...row, ...next });
      });
      forgetApp(service, appId);
      return changed;
    },
    async delete(appId) {
      await db.transaction().execute(async (trx) => {
        const row = await trx.deleteFrom('apps').where('id', '=', appId).returningAll().executeTakeFirst();
        if (!row) throw new AppNotFoundError();
        await note(trx, { type: 'app.deleted', appId, details: { name: readSettings(row.settings).name } });
      });
      service.keys.forget(appId);
      forgetApp(service, appId);
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
      const { id } = await requireOwn(service, appId);
      return db.transaction().execute((trx) => insertApiKey(service, trx, id, name));
    },
    async revokeApiKey(appId, keyId) {
      await db.transaction().execute(async (trx) => {
        const revoked = await trx
          .deleteFrom('api_keys')
          .where('app_id', '=', appId)
          .where('id', '=', keyId)
          .returning('name')
          .executeTakeFirst();
        if (!revoked) throw new ApiKeyNotFoundError();
        await note(trx, { type: 'api_key.revoked', appId, details: { key: keyId, name: revoked.name } });
      });
      forgetApp(service, appId);
    },
    async listSigningKeys(appId) {
      await requireOwn(service, appId);
      const rows = await db
        .selectFrom('signing_keys')
        .select(['id', 'created_at', 'active_at', 'retires_at'])
        .where('app_id', '=', appId)
        .where((where) =>
          where.or([where('retires_at', 'is', null), where('retires_at', '>', service.clock())]),
        )
        .orderBy('active_at')
        .orderBy('created_at')
        .execute();
      return rows.map((row) => ({
        id: row.id,
        createdAt: new Date(row.created_at),
        signsAt: new Date(row.active_at),
        retiresAt: row.retires_at === null ? undefined : new Date(row.retires_at),
      }));
    },
    async rotateSigningKey(appId, { immediately = false } = {}) {
      const { settings } = await requireOwn(service, appId);
      const lifetime = settings.sessionTimeoutLength * 60;
      const made = await db.transaction().execute(async (trx) => {
        const made = await service.keys.rotate(trx, appId, lifetime, immediately);
        await note(trx, { type: 'signing_key.rotated', appId, details: { key: made.id, immediately } });
        return made;
      });
      service.keys.forget(appId);
      return made;
    },
    async revokeSigningKey(appId, keyId) {
      await requireOwn(service, appId);
      await db.transaction().execute(async (trx) => {
        await service.keys.revoke(trx, appId, keyId);
        await note(trx, { type: 'signing_key.revoked', appId, details: { key: keyId } });
      });
      service.keys.forget(appId);
    },
    importUsers: async (appId, users) => importUsers(service, await requireOwn(service, appId), users),
  };
  return apps;
}

/** Finds an app for its operator. */
async function requireOwn(service: Service, appId: string): Promise<App> {
  return requireApp(service, appId).catch((error: unknown) => {
    throw error instanceof WireError && error.code === 'app_not_found' ? new AppNotFoundError() : error;
  });
}

/** Creates the first app, unless there is one. If several processes start together, only one creates it. */
export function createFirstApp(service: Service): Promise<{ appId: string; apiKey: string } | undefined> {
  return service.db.transaction().execute(async (trx) => {
    // The process that inserts this row creates the app; the others wait for it.
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
  if (!inserted) throw new AppExistsError();
  await record(service, trx, {
    type: 'app.created',
    appId,
    client: service.operator,
    details: { name: stored.name, authOrigin },
  });
  await service.keys.create(trx, appId, signingKey);
  const key = await insertApiKey(service, trx, appId, 'First API key', apiKey);
  return { appId, apiKey: key.apiKey };
}

async function insertApiKey(
  service: Service,
  trx: Queries,
  appId: string,
  name: string,
  apiKey = `${randomText(10)}.${randomText(64)}`,
) {
  const id = randomText();
  await trx
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
  await record(service, trx, {
    type: 'api_key.created',
    appId,
    client: service.operator,
    details: { key: id, name },
  });
  return { id, apiKey };
}

function describe(row: { id: string; settings: string; created_at: number }): AppDescription {
  return { ...readSettings(row.settings), id: row.id, createdAt: new Date(row.created_at) };
}
