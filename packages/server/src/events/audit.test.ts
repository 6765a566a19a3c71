import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeStored, type TestDatabase } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';
import { openStorage, type Storage } from '../storage/database.ts';
import { sweepAudit } from '../storage/maintenance.ts';
import { type Entry, listEntries } from './audit.ts';

type Row = [type: string, actor: string, details: object];

interface Case {
  name: string;
  act(server: TestServer): Promise<unknown>;
  rows: Row[];
}

const id = expect.stringMatching(/^[\w-]{24,}$/);
const text = expect.any(String);
let count = 0;
/** An address that nobody has yet. Its mask is `a***@e***.com`. */
const fresh = () => `ada${++count}@example.com`;
const masked = { addresses: ['a***@e***.com'] };
const created = (by: string, origin: string): Row => ['user.created', by, { origin, ...masked }];

const user = async (server: TestServer, email = fresh()) => {
  const { body } = await server.manage('POST', '/users', { email });
  return body.user.id as string;
};

const byUsers: Case[] = [
  {
    name: 'a sign-up by passkey',
    act: (server) => server.register(fresh()),
    rows: [created('user', 'signup'), ['webauthn.register.completed', 'user', { passkey: id }]],
  },
  {
    name: 'a sign-up by code, whose next login leaves nothing',
    async act(server) {
      const email = fresh();
      for (const action of ['register', 'login', 'login'] as const) {
        const { otpId: otp_id, code: otp } = await server.sendCode(email, action);
        expect((await server.auth('POST', '/otp/activate', { otp_id, otp })).status).toBe(200);
      }
    },
    rows: [created('user', 'signup'), ['email.proven', 'user', masked]],
  },
  {
    name: 'a passkey that is renamed and deleted',
    async act(server) {
      const { token } = await server.register(fresh());
      const { body } = await server.auth('GET', '/currentuser/devices', undefined, { token });
      const path = `/currentuser/devices/${body.devices[0].id}`;
      await server.auth('PATCH', path, { friendly_name: 'My secret name' }, { token });
      await server.auth('DELETE', path, undefined, { token });
      expect((await server.auth('DELETE', path, undefined, { token })).status).toBe(401);
    },
    rows: [
      created('user', 'signup'),
      ['webauthn.register.completed', 'user', { passkey: id }],
      ['webauthn.renamed', 'user', { passkey: id }],
      ['webauthn.deleted', 'user', { passkey: id }],
    ],
  },
  {
    name: 'metadata that a user changes, and leaves as it is',
    async act(server) {
      const { token } = await server.register(fresh());
      for (const color of ['mauve', 'mauve'])
        await server.auth('PATCH', '/currentuser/user-metadata', { user_metadata: { color } }, { token });
    },
    rows: [
      created('user', 'signup'),
      ['webauthn.register.completed', 'user', { passkey: id }],
      ['metadata.changed', 'user', { fields: ['color'] }],
    ],
  },
  {
    name: 'metadata of a sign-up that is begun twice',
    async act(server) {
      const identifier = fresh();
      for (const color of ['mauve', 'teal'])
        await server.auth('POST', '/users', { identifier, user_metadata: { color } });
    },
    rows: [created('user', 'signup'), ['metadata.changed', 'user', { fields: ['color'] }]],
  },
  {
    name: 'an address that a user confirms, and another one',
    async act(server) {
      const first = fresh();
      const { token } = await server.register(first);
      for (const new_email of [first, fresh()]) {
        await server.auth('PATCH', '/currentuser/email', { new_email }, { token });
        const { url = '' } = server.messages.findLast(({ kind }) => kind === 'verify_identifier') ?? {};
        const magic_link = new URL(url).searchParams.get('psg_verify_link');
        expect((await server.auth('PATCH', '/magic-link/activate', { magic_link })).status).toBe(200);
      }
    },
    rows: [
      created('user', 'signup'),
      ['webauthn.register.completed', 'user', { passkey: id }],
      ['email.proven', 'user', masked],
      ['email.changed', 'user', masked],
      ['email.proven', 'user', masked],
    ],
  },
  {
    name: 'a passkey that is lost to the owner of the address',
    async act(server) {
      const email = fresh();
      await server.register(email);
      const { otpId: otp_id, code: otp } = await server.sendCode(email);
      await server.auth('POST', '/otp/activate', { otp_id, otp });
    },
    rows: [
      created('user', 'signup'),
      ['webauthn.register.completed', 'user', { passkey: id }],
      ['email.proven', 'user', masked],
      ['unproven.removed', 'user', { removed: ['passkeys', 'sessions'], passkeys: [id] }],
    ],
  },
  {
    name: 'a refresh token that is used again, and a sign-out',
    async act(server) {
      const [one, other] = [await server.register(fresh()), await server.register(fresh())];
      const refresh_token = one.refreshToken;
      await server.auth('POST', '/tokens', { refresh_token });
      server.advance(11);
      expect((await server.auth('POST', '/tokens', { refresh_token })).status).toBe(401);
      await server.auth('DELETE', `/tokens?refresh_token=${other.refreshToken}`);
    },
    rows: [
      created('user', 'signup'),
      ['webauthn.register.completed', 'user', { passkey: id }],
      created('user', 'signup'),
      ['webauthn.register.completed', 'user', { passkey: id }],
      ['refresh_token.reused', 'server', { session: id }],
    ],
  },
];

const byBackEnd: Case[] = [
  { name: 'a user made', act: (server) => user(server), rows: [created('api_key', 'back_end')] },
  {
    name: 'a user changed, and left as they are',
    async act(server) {
      const path = `/users/${await user(server)}`;
      const body = { email: fresh(), phone: '+15005550006', user_metadata: { color: 'mauve' } };
      for (let times = 0; times < 2; times++)
        expect((await server.manage('PATCH', path, body)).status).toBe(200);
      await server.manage('PATCH', path, {});
    },
    rows: [
      created('api_key', 'back_end'),
      ['email.changed', 'api_key', masked],
      ['phone.changed', 'api_key', { addresses: ['***0006'] }],
      ['metadata.changed', 'api_key', { fields: ['color'] }],
    ],
  },
  {
    name: 'users who signed up, at the first act of the back end',
    async act(server) {
      const ids = [];
      for (let count = 0; count < 3; count++) {
        const { body } = await server.auth('POST', '/users', { identifier: fresh() });
        ids.push(body.user.id);
      }
      const [one, two, three] = ids;
      for (let times = 0; times < 2; times++) {
        await server.manage('PATCH', `/users/${one}`, {});
        await server.manage('PATCH', `/users/${two}/activate`);
      }
      await server.manage('POST', '/magic-links', { user_id: three, send: false });
    },
    rows: [
      ...Array.from({ length: 3 }, () => created('user', 'signup')),
      ['user.adopted', 'api_key', { origin: 'signup' }],
      ['user.adopted', 'api_key', { origin: 'signup' }],
      ['user.activated', 'api_key', {}],
      ['user.activated', 'api_key', {}],
      ['user.adopted', 'api_key', { origin: 'signup' }],
      [
        'magic_link.created',
        'api_key',
        { link: 'login', channel: 'email', minutes: 10, sent: false, ...masked },
      ],
    ],
  },
  {
    name: 'a user stopped, let in again and deleted',
    async act(server) {
      const path = `/users/${await user(server)}`;
      await server.manage('PATCH', `${path}/deactivate`);
      await server.manage('PATCH', `${path}/activate`);
      await server.manage('DELETE', path);
      expect((await server.manage('DELETE', path)).status).toBe(404);
    },
    rows: [
      created('api_key', 'back_end'),
      ['user.deactivated', 'api_key', {}],
      ['user.activated', 'api_key', {}],
      ['user.deleted', 'api_key', {}],
    ],
  },
  {
    name: 'a passkey and sessions taken away',
    async act(server) {
      const { id: userId } = await server.register(fresh());
      const { body } = await server.manage('GET', `/users/${userId}/devices`);
      await server.manage('DELETE', `/users/${userId}/devices/${body.devices[0].id}`);
      await server.manage('DELETE', `/users/${userId}/tokens`);
      expect((await server.manage('DELETE', '/users/nobody/tokens')).status).toBe(404);
    },
    rows: [
      created('user', 'signup'),
      ['webauthn.register.completed', 'user', { passkey: id }],
      ['webauthn.revoked', 'api_key', { passkey: id }],
      ['sessions.revoked', 'api_key', {}],
    ],
  },
  {
    name: 'a login link',
    act: (server) => server.createLink(fresh()),
    rows: [
      created('api_key', 'back_end'),
      [
        'magic_link.created',
        'api_key',
        { link: 'login', channel: 'email', minutes: 10, sent: false, ...masked },
      ],
    ],
  },
  {
    name: 'a change that is refused halfway',
    async act(server) {
      await server.manage('POST', '/users', { email: 'taken@example.com', phone: '+15005550007' });
      const path = `/users/${await user(server)}`;
      const taken = { email: fresh(), phone: '+15005550007' };
      expect((await server.manage('PATCH', path, taken)).status).toBe(400);
      expect((await server.manage('POST', '/users', { email: 'taken@example.com' })).status).toBe(400);
    },
    rows: [
      ['user.created', 'api_key', { origin: 'back_end', addresses: ['t***@e***.com', '***0007'] }],
      created('api_key', 'back_end'),
    ],
  },
];

const byProgram: Case[] = [
  {
    name: 'an app made, changed, left as it is and deleted',
    async act({ server: { apps } }) {
      const { appId } = await apps.create({ name: 'Other' });
      const dark = { passage_container_background_color: '#123456' };
      for (let times = 0; times < 2; times++)
        await apps.update(appId, { name: 'Shop', elementCustomizationDark: dark });
      await apps.delete(appId);
      await expect(apps.delete(appId)).rejects.toThrow('No app');
    },
    rows: [
      ['app.created', 'program', { name: 'Other', authOrigin: text }],
      ['api_key.created', 'program', { key: id, name: 'First API key' }],
      [
        'app.updated',
        'program',
        { settings: { name: { from: 'Other', to: 'Shop' }, elementCustomizationDark: {} } },
      ],
      ['app.deleted', 'program', { name: 'Shop' }],
    ],
  },
  {
    name: 'keys',
    async act({ appId, server: { apps } }) {
      const key = await apps.createApiKey(appId, 'CI');
      await apps.revokeApiKey(appId, key.id);
      const signing = await apps.rotateSigningKey(appId);
      await apps.revokeSigningKey(appId, signing.id);
      await expect(apps.revokeSigningKey(appId, 'none')).rejects.toThrow('no signing key');
    },
    rows: [
      ['api_key.created', 'program', { key: id, name: 'CI' }],
      ['api_key.revoked', 'program', { key: id, name: 'CI' }],
      ['signing_key.rotated', 'program', { key: id, immediately: false }],
      ['signing_key.revoked', 'program', { key: id }],
    ],
  },
  {
    name: 'an import, repeated, and one that is refused',
    async act({ appId, server: { apps } }) {
      const users = [
        { id: 'one', email: fresh() },
        { id: 'two', email: fresh() },
      ];
      await apps.importUsers(appId, users);
      await apps.importUsers(appId, users);
      const faulty = [{ email: fresh() }, { id: 'three', email: users[0]?.email }];
      await expect(apps.importUsers(appId, faulty)).rejects.toThrow('Record 2');
    },
    rows: [['users.imported', 'program', { users: 2 }]],
  },
  {
    name: 'a backup restored',
    act: ({ server }) => server.voidSecrets(),
    rows: [['backup.restored', 'program', {}]],
  },
];

describeStored('The audit log', (make) => {
  let server: TestServer;
  let storage: Storage;
  let database: TestDatabase;
  let keyId: string | undefined;

  beforeAll(async () => {
    const remember = async () => {
      database = await make();
      return database;
    };
    const userMetadataSchema = [
      { fieldName: 'color', type: 'string', registration: true, profile: true },
    ] as const;
    server = await TestServer.start(remember, { app: { userMetadataSchema: [...userMetadataSchema] } });
    storage = await openStorage(database.location);
    [keyId] = (await server.server.apps.listApiKeys(server.appId)).map((key) => key.id);
  });
  afterAll(async () => {
    await storage.close();
    await server[Symbol.asyncDispose]();
  });

  const entries = async () => (await listEntries(storage.db, { limit: 10_000 })).reverse();

  it('begins with the app', async () => {
    expect(await entries()).toMatchObject([
      { type: 'app.created', appId: server.appId, actor: { kind: 'program' } },
      { type: 'api_key.created', appId: server.appId, actor: { kind: 'program' } },
    ]);
  });

  it.each([...byUsers, ...byBackEnd, ...byProgram])('has $name', async ({ act, rows }) => {
    const before = (await entries()).length;
    await act(server);
    const made = (await entries()).slice(before);
    expect(made.map(({ type, actor, details }) => [type, actor.kind, details])).toEqual(rows);
    for (const entry of made) expect(actorId(entry)).toBe(expectedId(entry));
  });

  const actorId = ({ actor }: Entry) => actor.id;
  const expectedId = ({ actor, userId }: Entry) =>
    actor.kind === 'user' ? userId : actor.kind === 'api_key' ? keyId : null;

  it('says where a request came from, and keeps what is said of a user who is deleted', async () => {
    const email = fresh();
    const userId = await user(server, email);
    const headers = { 'user-agent': `Back end ${'x'.repeat(600)}` };
    await server.manage('DELETE', `/users/${userId}`, undefined, { ip: '198.51.100.7', headers });
    const [deleted, made] = await listEntries(storage.db, { userIds: [userId], limit: 10 });
    expect(made).toMatchObject({ type: 'user.created', ip: null, appId: server.appId });
    expect(deleted).toMatchObject({
      type: 'user.deleted',
      ip: '198.51.100.7',
      userAgent: headers['user-agent'].slice(0, 500),
      actor: { kind: 'api_key', id: keyId },
    });
  });

  it('has no secret and no address in clear', async () => {
    const { token, refreshToken } = await server.register(fresh());
    const { otpId, code } = await server.sendCode('leaky@example.com', 'register');
    const link = await server.createLink(fresh());
    const rows = JSON.stringify(await storage.db.selectFrom('audit').selectAll().execute());
    expect(rows.length).toBeGreaterThan(1_000);
    for (const secret of [server.apiKey, token, refreshToken ?? '-', otpId, code, link.id, link.secret])
      expect(rows).not.toContain(secret);
    expect(rows).not.toMatch(/@example|\+1500|My secret name|mauve|teal/);
    expect(server.log.join()).not.toMatch(/@example|@e\*|\+1500/);
  });

  it('is kept for the days of "auditRetention", however much there is', async () => {
    const [newest] = (await entries()).slice(-1);
    const row = await storage.db.selectFrom('audit').selectAll().limit(1).executeTakeFirstOrThrow();
    const day = 86_400_000;
    for (let batch = 0; batch < 5; batch++) {
      const old = Array.from({ length: 500 }, (_, index) => ({
        ...row,
        id: `old${batch}-${index}`,
        created_at: server.now - 30 * day,
      }));
      await storage.db.insertInto('audit').values(old).execute();
    }
    await sweepAudit(storage.db, server.now, 31);
    const before = await entries();
    expect(before.length).toBeGreaterThan(2_500);
    await sweepAudit(storage.db, server.now, 30);
    expect(await entries()).toHaveLength(before.length - 2_500);
    expect((await entries()).at(-1)).toEqual(newest);
  });
});

describe('rotateSecret', () => {
  describeStored('leaves an entry', (make) => {
    it('of no app', async () => {
      let location = '';
      const server = await TestServer.start(async () => {
        const database = await make();
        location = database.location;
        return database;
      });
      await server.server.rotateSecret(randomBytes(32).toString('base64'));
      await using storage = await disposable(location);
      expect(await listEntries(storage.db, { limit: 1 })).toMatchObject([
        { type: 'secret.rotated', appId: null, userId: null, actor: { kind: 'program', id: null } },
      ]);
      await server[Symbol.asyncDispose]();
    });
  });
});

async function disposable(location: string) {
  const storage = await openStorage(location);
  return { ...storage, [Symbol.asyncDispose]: () => storage.close() };
}
