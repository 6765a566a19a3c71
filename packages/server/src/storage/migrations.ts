import { createHash } from 'node:crypto';
import { type CreateTableBuilder, type Kysely, sql, type Transaction } from 'kysely';
import type { DatabaseKind } from './database.ts';
import type { Schema } from './schema.ts';

type Builder = Kysely<Schema> | Transaction<Schema>;
type Statement = { compile(): { sql: string }; execute(): Promise<unknown> };
type Table = CreateTableBuilder<string, never>;

/** Forward only, and never edited once released: a changed migration is refused at start. */
const migrations: readonly ((db: Builder) => Statement[])[] = [createTables];

/**
 * Brings the tables up to date, each step in one transaction. Safe when several processes start at once.
 *
 * @throws Error when the database was made by a newer version, or a released migration was changed
 */
export async function migrate(db: Kysely<Schema>, kind: DatabaseKind): Promise<void> {
  await db.transaction().execute(async (trx) => {
    // Whoever comes second waits here, and then finds nothing to do.
    if (kind === 'postgres') await sql`select pg_advisory_xact_lock(7274696512)`.execute(trx);
    await sql`create table if not exists migrations (id integer primary key, checksum text not null)`.execute(
      trx,
    );
  });
  for (const [index, statements] of migrations.entries()) {
    await db.transaction().execute(async (trx) => {
      if (kind === 'postgres') await sql`select pg_advisory_xact_lock(7274696512)`.execute(trx);
      await apply(trx, index + 1, statements(trx));
    });
  }
  const newest = await sql<{ id: number | null }>`select max(id) as id from migrations`.execute(db);
  if ((newest.rows[0]?.id ?? 0) > migrations.length) {
    throw new Error('The database was made by a newer version of @passage-auth/server');
  }
}

async function apply(trx: Transaction<Schema>, id: number, statements: Statement[]): Promise<void> {
  const checksum = createHash('sha256')
    .update(statements.map((statement) => statement.compile().sql).join(';\n'))
    .digest('hex');
  const done = await sql<{ checksum: string }>`select checksum from migrations where id = ${id}`.execute(trx);
  const known = done.rows[0]?.checksum;
  if (known === checksum) return;
  if (known) throw new Error(`Migration ${id} of the database differs from this version's`);
  for (const statement of statements) await statement.execute();
  await sql`insert into migrations (id, checksum) values (${id}, ${checksum})`.execute(trx);
}

function createTables(db: Builder): Statement[] {
  const table = (
    name: string,
    columns: Record<string, 'text' | 'integer' | 'bigint'>,
    nullable: string[] = [],
  ) =>
    Object.entries(columns).reduce<Table>(
      (builder, [column, type]) =>
        builder.addColumn(column as never, type, (col) => (nullable.includes(column) ? col : col.notNull())),
      db.schema.createTable(name) as unknown as Table,
    );
  const ofApp = (builder: Table) =>
    builder.addForeignKeyConstraint(`${name(builder)}_app`, ['app_id' as never], 'apps', ['id'], (fk) =>
      fk.onDelete('cascade'),
    );
  const ofUser = (builder: Table) =>
    builder.addForeignKeyConstraint(
      `${name(builder)}_user`,
      ['app_id', 'user_id'] as never,
      'users',
      ['app_id', 'id'],
      (fk) => fk.onDelete('cascade'),
    );
  const key = (builder: Table, ...columns: string[]) =>
    builder.addPrimaryKeyConstraint(`${name(builder)}_key`, columns as never);
  const index = (on: string, ...columns: string[]) =>
    db.schema
      .createIndex(`${on}_${columns.join('_')}`)
      .on(on)
      .columns(columns);

  return [
    key(table('meta', { name: 'text', value: 'text' }), 'name'),
    key(table('limits', { id: 'text', count: 'integer', resets_at: 'bigint' }), 'id'),
    index('limits', 'resets_at'),
    key(table('apps', { id: 'text', settings: 'text', created_at: 'bigint', updated_at: 'bigint' }), 'id'),
    ofApp(
      key(
        table(
          'api_keys',
          {
            id: 'text',
            app_id: 'text',
            name: 'text',
            prefix: 'text',
            hash: 'text',
            created_at: 'bigint',
            last_used_at: 'bigint',
          },
          ['last_used_at'],
        ),
        'id',
      ),
    ),
    index('api_keys', 'hash').unique(),
    index('api_keys', 'app_id'),
    ofApp(
      key(
        table(
          'signing_keys',
          {
            id: 'text',
            app_id: 'text',
            public_jwk: 'text',
            private_jwk: 'text',
            created_at: 'bigint',
            active_at: 'bigint',
            retires_at: 'bigint',
          },
          ['retires_at'],
        ),
        'app_id',
        'id',
      ),
    ),
    ofApp(
      key(
        table(
          'users',
          {
            app_id: 'text',
            id: 'text',
            email: 'text',
            email_verified: 'integer',
            phone: 'text',
            phone_verified: 'integer',
            external_id: 'text',
            status: 'text',
            login_count: 'integer',
            metadata: 'text',
            created_at: 'bigint',
            updated_at: 'bigint',
            last_login_at: 'bigint',
          },
          ['email', 'phone', 'metadata'],
        ),
        'app_id',
        'id',
      ),
    ),
    index('users', 'app_id', 'email').unique(),
    index('users', 'app_id', 'phone').unique(),
    index('users', 'app_id', 'created_at', 'id'),
    index('users', 'app_id', 'updated_at', 'id'),
    index('users', 'app_id', 'last_login_at', 'id'),
    index('users', 'app_id', 'login_count', 'id'),
    index('users', 'app_id', 'status', 'created_at', 'id'),
    ofUser(
      key(
        table('devices', {
          id: 'text',
          app_id: 'text',
          user_id: 'text',
          cred_id: 'text',
          public_key: 'text',
          counter: 'bigint',
          transports: 'text',
          aaguid: 'text',
          backup_eligible: 'integer',
          backed_up: 'integer',
          type: 'text',
          friendly_name: 'text',
          usage_count: 'integer',
          created_at: 'bigint',
          updated_at: 'bigint',
          last_login_at: 'bigint',
        }),
        'app_id',
        'id',
      ),
    ),
    index('devices', 'app_id', 'cred_id').unique(),
    index('devices', 'app_id', 'user_id'),
    ofApp(
      key(
        table(
          'handshakes',
          {
            id_hash: 'text',
            app_id: 'text',
            ceremony: 'text',
            challenge_hash: 'text',
            user_id: 'text',
            allowed: 'text',
            expires_at: 'bigint',
          },
          ['user_id', 'allowed'],
        ),
        'id_hash',
      ),
    ),
    index('handshakes', 'expires_at'),
    ofApp(
      key(
        table(
          'codes',
          {
            id_hash: 'text',
            app_id: 'text',
            user_id: 'text',
            identifier: 'text',
            code_hash: 'text',
            attempts: 'integer',
            created_at: 'bigint',
            expires_at: 'bigint',
          },
          ['user_id'],
        ),
        'id_hash',
      ),
    ),
    index('codes', 'expires_at'),
    index('codes', 'app_id', 'identifier'),
    ofUser(
      key(
        table(
          'links',
          {
            id_hash: 'text',
            secret_hash: 'text',
            app_id: 'text',
            user_id: 'text',
            identifier: 'text',
            type: 'text',
            redirect_url: 'text',
            created_at: 'bigint',
            expires_at: 'bigint',
            activated_at: 'bigint',
            claimed_at: 'bigint',
          },
          ['activated_at', 'claimed_at'],
        ),
        'id_hash',
      ),
    ),
    index('links', 'secret_hash').unique(),
    index('links', 'expires_at'),
    index('links', 'app_id', 'user_id'),
    ofUser(
      key(
        table('sessions', {
          id: 'text',
          app_id: 'text',
          user_id: 'text',
          created_at: 'bigint',
          expires_at: 'bigint',
        }),
        'id',
      ),
    ),
    index('sessions', 'app_id', 'user_id'),
    index('sessions', 'expires_at'),
    key(
      table(
        'refresh_tokens',
        {
          hash: 'text',
          session_id: 'text',
          app_id: 'text',
          created_at: 'bigint',
          expires_at: 'bigint',
          used_at: 'bigint',
        },
        ['used_at'],
      ).addForeignKeyConstraint('refresh_tokens_session', ['session_id' as never], 'sessions', ['id'], (fk) =>
        fk.onDelete('cascade'),
      ),
      'hash',
    ),
    index('refresh_tokens', 'session_id'),
    ofUser(
      key(
        table('events', {
          id: 'text',
          app_id: 'text',
          user_id: 'text',
          type: 'text',
          action: 'text',
          ip_addr: 'text',
          user_agent: 'text',
          created_at: 'bigint',
        }),
        'id',
      ),
    ),
    index('events', 'app_id', 'user_id', 'created_at'),
  ];
}

function name(builder: Table): string {
  return builder.toOperationNode().table.table.identifier.name;
}
