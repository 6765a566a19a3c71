import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, it } from 'vitest';
import { describeDatabases } from '../../test/databases.ts';
import { TestServer } from '../../test/server.ts';

describeDatabases('The diagnostics channels', (make) => {
  it('publish requests and events, without a token, an address or a user', async () => {
    await using server = await TestServer.start(make);
    const messages: unknown[] = [];
    const listen = (message: unknown, name: string | symbol) =>
      void messages.push([name, message as Record<string, unknown>]);
    const names = ['passage-server:request', 'passage-server:event'];
    for (const name of names) subscribe(name, listen);
    const { id } = await server.register('ada@example.com');
    const { status } = await server.manage('GET', '/users/nobody');
    for (const name of names) unsubscribe(name, listen);
    await server.manage('GET', `/users/${id}`);
    expect(status).toBe(404);
    const appId = server.appId;
    const duration = expect.any(Number);
    const request = (method: string, route: string, status: number) => [
      'passage-server:request',
      { appId, method, route, status, duration },
    ];
    const auth = '/auth/v1/apps/{app_id}/register/webauthn';
    expect(messages).toEqual([
      ['passage-server:event', { appId, type: 'user.created' }],
      request('POST', `${auth}/start`, 200),
      ['passage-server:event', { appId, type: 'webauthn.register.completed' }],
      ['passage-server:event', { appId, type: 'user.registered' }],
      request('POST', `${auth}/finish`, 201),
      request('GET', '/api/v1/apps/{app_id}/users/{user_id}', 404),
    ]);
  });
});
