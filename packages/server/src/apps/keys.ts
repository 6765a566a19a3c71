import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { LastSigningKeyError, SigningKeyNotFoundError } from '../errors.ts';
import type { Keys, PublicJwk, SigningKey } from '../service.ts';
import type { Queries, Storage } from '../storage/database.ts';
import type { SigningKeyRow } from '../storage/schema.ts';
import { randomText, type Secrets } from '../storage/secrets.ts';

/** How long processes may use the keys that they have read, in milliseconds. */
const cacheTime = 15_000;
/** How long verifiers may cache the JWKS, in milliseconds. A new key signs only after that. */
const publication = 10 * 60_000;

interface CachedKeys {
  rows: SigningKeyRow[];
  readAt: number;
}

/** Signing keys of all apps. Private keys are decrypted when first used and kept in memory only. */
export class StoredKeys implements Keys {
  readonly #storage: Storage;
  readonly #secrets: Secrets;
  readonly #clock: () => number;
  readonly #rows = new Map<string, CachedKeys>();
  readonly #signing = new Map<string, KeyObject>();

  constructor(storage: Storage, secrets: Secrets, clock: () => number) {
    this.#storage = storage;
    this.#secrets = secrets;
    this.#clock = clock;
  }

  async create(queries: Queries, appId: string, jwk?: JsonWebKey): Promise<void> {
    await this.#insert(queries, appId, this.#clock(), jwk);
  }

  async rotate(
    queries: Queries,
    appId: string,
    tokenLifetime: number,
    immediately = false,
  ): Promise<{ id: string; signsAt: Date }> {
    const now = this.#clock();
    const activeAt = immediately ? now : now + publication;
    if (immediately) await queries.deleteFrom('signing_keys').where('app_id', '=', appId).execute();
    else await retireNewest(queries, appId, now, tokenLifetime).execute();
    const id = await this.#insert(queries, appId, activeAt);
    return { id, signsAt: new Date(activeAt) };
  }

  async rotateOlder(
    queries: Queries,
    appId: string,
    tokenLifetime: number,
    than: number,
  ): Promise<{ id: string; signsAt: Date } | undefined> {
    const now = this.#clock();
    const activeAt = now + publication;
    // The process that retires the key creates its successor.
    const retired = await retireNewest(queries, appId, now, tokenLifetime)
      .where('created_at', '<=', than)
      .returning('id')
      .executeTakeFirst();
    if (!retired) return undefined;
    return { id: await this.#insert(queries, appId, activeAt), signsAt: new Date(activeAt) };
  }

  async revoke(queries: Queries, appId: string, id: string): Promise<void> {
    const now = this.#clock();
    const rows = await queries
      .selectFrom('signing_keys')
      .selectAll()
      .where('app_id', '=', appId)
      .where((where) => where.or([where('retires_at', 'is', null), where('retires_at', '>', now)]))
      .orderBy('active_at')
      .orderBy('created_at')
      .execute();
    if (!rows.some((row) => row.id === id)) throw new SigningKeyNotFoundError();
    const newest = rows.findLast((row) => row.id !== id);
    if (!newest) throw new LastSigningKeyError();
    await queries.deleteFrom('signing_keys').where('app_id', '=', appId).where('id', '=', id).execute();
    // The key that signs next must stay published.
    await queries
      .updateTable('signing_keys')
      .set({ retires_at: null })
      .where('app_id', '=', appId)
      .where('id', '=', newest.id)
      .execute();
  }

  async published(appId: string): Promise<PublicJwk[]> {
    const now = this.#clock();
    const rows = await this.#read(appId);
    return rows
      .filter((row) => row.retires_at === null || row.retires_at > now)
      .map((row) => JSON.parse(row.public_jwk));
  }

  async signing(appId: string): Promise<SigningKey> {
    const now = this.#clock();
    const rows = await this.#read(appId);
    const row = rows.findLast((candidate) => candidate.active_at <= now) ?? rows[0];
    if (!row) throw new Error(`App ${appId} has no signing key`);
    return { kid: row.id, key: this.#open(row) };
  }

  async reseal(queries: Queries, next: Secrets): Promise<number> {
    const rows = await queries.selectFrom('signing_keys').selectAll().execute();
    for (const row of rows) {
      const context = contextOf(row.app_id, row.id);
      await queries
        .updateTable('signing_keys')
        .set({ private_jwk: next.seal(this.#secrets.open(row.private_jwk, context), context) })
        .where('app_id', '=', row.app_id)
        .where('id', '=', row.id)
        .execute();
    }
    return rows.length;
  }

  forget(appId: string): void {
    this.#rows.delete(appId);
  }

  async #read(appId: string): Promise<SigningKeyRow[]> {
    const cached = this.#rows.get(appId);
    const now = Date.now();
    if (cached && now - cached.readAt < cacheTime) return cached.rows;
    try {
      const rows = await this.#storage.db
        .selectFrom('signing_keys')
        .selectAll()
        .where('app_id', '=', appId)
        .orderBy('active_at')
        .orderBy('created_at')
        .execute();
      if (rows.length) this.#rows.set(appId, { rows, readAt: now });
      return rows;
    } catch (error) {
      if (cached) return cached.rows;
      throw error;
    }
  }

  #open(row: SigningKeyRow): KeyObject {
    const cacheKey = `${row.app_id}/${row.id}`;
    const known = this.#signing.get(cacheKey);
    if (known) return known;
    const jwk = JSON.parse(this.#secrets.open(row.private_jwk, contextOf(row.app_id, row.id)));
    const key = createPrivateKey({ key: jwk, format: 'jwk' });
    this.#signing.set(cacheKey, key);
    return key;
  }

  async #insert(queries: Queries, appId: string, activeAt: number, given?: JsonWebKey): Promise<string> {
    const jwk: RsaJwk = given ?? (await makePrivateJwk());
    const kid = jwk.kid ?? randomText();
    const published: PublicJwk = {
      kty: 'RSA',
      alg: 'RS256',
      use: 'sig',
      kid,
      n: jwk.n ?? '',
      e: jwk.e ?? '',
    };
    const sealed = this.#secrets.seal(JSON.stringify({ ...jwk, kid }), contextOf(appId, kid));
    await queries
      .insertInto('signing_keys')
      .values({
        id: kid,
        app_id: appId,
        public_jwk: JSON.stringify(published),
        private_jwk: sealed,
        created_at: this.#clock(),
        active_at: activeAt,
        retires_at: null,
      })
      .execute();
    return kid;
  }
}

/** Keeps the newest key published until the last token that it signed has expired. */
function retireNewest(queries: Queries, appId: string, now: number, tokenLifetime: number) {
  return queries
    .updateTable('signing_keys')
    .set({ retires_at: now + publication + tokenLifetime * 1000 + publication })
    .where('app_id', '=', appId)
    .where('retires_at', 'is', null);
}

type RsaJwk = JsonWebKey & { kid?: string };

async function makePrivateJwk(): Promise<RsaJwk> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  return privateKey.export({ format: 'jwk' }) as RsaJwk;
}

/** Returns the key as the App object of the protocol has it: base64 of PEM. */
export function pemOf(jwk: PublicJwk | undefined): string {
  if (!jwk) return '';
  const key = createPublicKey({ key: { kty: jwk.kty, n: jwk.n, e: jwk.e }, format: 'jwk' });
  return Buffer.from(key.export({ type: 'spki', format: 'pem' })).toString('base64');
}

function contextOf(appId: string, kid: string): string {
  return `signing key ${appId}/${kid}`;
}
