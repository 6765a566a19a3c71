import { expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';
import type { ImportedUser } from '../index.ts';

const id = 'uTfWqEOW7fRVJW7sLkmyyn3T';
const schema = [{ fieldName: 'plan', friendlyName: 'Plan', type: 'string' as const }];

describeDatabases('apps.importUsers', (make) => {
  it('keeps id, addresses, status, metadata and time', async () => {
    await using server = await TestServer.start(make, { app: { userMetadataSchema: schema } });
    const { apps } = server.server;
    const ada: ImportedUser = {
      id,
      email: 'Ada@Example.com',
      email_verified: true,
      phone: '+15005550006',
      external_id: 'customer-7',
      status: 'active',
      user_metadata: { plan: 'pro' },
      created_at: '2023-05-06T07:08:09.123456Z',
    };
    const inactive = { phone: '+15005550007', status: 'inactive' as const };
    expect(await apps.importUsers(server.appId, [ada, inactive])).toEqual({ imported: 2, existing: 0 });
    const { body } = await server.manage('GET', `/users/${id}`);
    expect(body.user).toMatchObject({
      id,
      email: 'ada@example.com',
      email_verified: true,
      phone: '+15005550006',
      phone_verified: false,
      external_id: 'customer-7',
      status: 'active',
      user_metadata: { plan: 'pro' },
      login_count: 0,
    });
    expect(Date.parse(body.user.created_at)).toBe(Date.UTC(2023, 4, 6, 7, 8, 9, 123));
    const list = await server.manage('GET', '/users?status=inactive');
    expect(list.body.users).toMatchObject([{ phone: '+15005550007' }]);
    expect(list.body.users[0].id).toMatch(/^[A-Za-z0-9]{24}$/);
  });

  it('takes what the Management API answers, of this server as well', async () => {
    await using server = await TestServer.start(make);
    const { token } = await server.register('ada@example.com');
    const { body: me } = await server.auth('GET', '/currentuser', undefined, { token });
    const { body } = await server.manage('GET', `/users/${me.user.id}`);
    const other = await server.server.apps.create();
    expect(await server.server.apps.importUsers(other.appId, [body.user])).toEqual({
      imported: 1,
      existing: 0,
    });
  });

  it('lets the user log in as who they were', async () => {
    await using server = await TestServer.start(make);
    await server.server.apps.importUsers(server.appId, [{ id, email: 'ada@example.com' }]);
    expect((await server.signIn('ada@example.com')).id).toBe(id);
  });

  it('can be repeated', async () => {
    await using server = await TestServer.start(make);
    const users = [{ id, email: 'ada@example.com' }];
    await server.server.apps.importUsers(server.appId, users);
    await server.manage('PATCH', `/users/${id}`, { email: 'lovelace@example.com' });
    expect(await server.server.apps.importUsers(server.appId, users)).toEqual({ imported: 0, existing: 1 });
    const { body } = await server.manage('GET', `/users/${id}`);
    expect(body.user.email).toBe('lovelace@example.com');
  });

  it.each<[string, object, RegExp]>([
    ['an address that is none', { email: 'ada' }, /Record 2 .*email address/],
    ['no address', { id: 'x', user_metadata: null }, /Record 2 .*"email" or "phone" must be set/],
    ['an id that is no segment of a path', { id: '../x', email: 'x@example.com' }, /Record 2 .*"id"/],
    ['a status that is none', { email: 'x@example.com', status: 'gone' }, /Record 2 .*"status"/],
    [
      'metadata without a schema',
      { email: 'x@example.com', user_metadata: { plan: 1 } },
      /Record 2 .*user_metadata/,
    ],
    ['the address of somebody else', { email: 'ada@example.com' }, /Record 2 .*belongs to another user/],
  ])('imports none where one has %s, and says which', async (_what, wrong, message) => {
    await using server = await TestServer.start(make);
    const users = [{ id, email: 'ada@example.com' }, wrong as ImportedUser];
    await expect(server.server.apps.importUsers(server.appId, users)).rejects.toThrow(message);
    expect((await server.manage('GET', '/users')).body.total_users).toBe(0);
  });

  it('refuses an app that is not there', async () => {
    await using server = await TestServer.start(make);
    await expect(server.server.apps.importUsers('other', [])).rejects.toThrow('No app has this ID');
  });
});
