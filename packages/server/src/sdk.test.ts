import { Passage, PassageError } from '@passageidentity/passage-node';
import { createRemoteJWKSet } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { secret, signingKey } from '../test/server.ts';
import { createPassageServer, outbox, type PassageServer } from './index.ts';

// The official SDK names its hosts in its code: calls are redirected by the fetch it is given, keys by replacing its key set.
describe('@passageidentity/passage-node 2.12.1', () => {
  let server: PassageServer;
  let origin: string;
  let passage: Passage;

  beforeAll(async () => {
    server = await createPassageServer({
      baseUrl: 'http://localhost:3000',
      secret,
      database: ':memory:',
      app: { signingKey },
      delivery: outbox({ print: false }),
    });
    const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
    origin = `http://127.0.0.1:${port}`;
    const { appId, apiKey } = server.created ?? { appId: '', apiKey: '' };
    passage = new Passage({
      appID: appId,
      apiKey,
      fetchApi: (url, init) =>
        fetch(String(url).replace('https://api.passage.id/v1', `${origin}/api/v1`), init),
    });
    const keys = createRemoteJWKSet(new URL(`${origin}/auth/v1/apps/${appId}/.well-known/jwks.json`));
    Object.assign(passage.auth, { jwks: keys });
  });
  afterAll(() => server.close());

  async function signIn(email: string): Promise<{ userId: string; token: string }> {
    const link = await passage.auth.createMagicLink({ email, type: 'login', send: false }, { ttl: 5 });
    const response = await fetch(`${origin}/auth/v1/apps/${server.created?.appId}/magic-link/activate`, {
      method: 'PATCH',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ magic_link: link.secret }),
    });
    const { auth_result } = await response.json();
    return { userId: link.user_id, token: auth_result.auth_token };
  }

  it('validates tokens', async () => {
    const { userId, token } = await signIn('ada@example.com');
    expect(await passage.auth.validateJwt(token)).toBe(userId);
    await expect(passage.auth.validateJwt(`${token.slice(0, -4)}AAAA`)).rejects.toThrow(PassageError);
  });

  it('creates, reads, changes and deletes users', async () => {
    const user = await passage.user.create({ email: 'Bob@Example.com' });
    expect(user).toMatchObject({ email: 'bob@example.com', status: 'pending' });
    expect((await passage.user.get(user.id)).id).toBe(user.id);
    expect((await passage.user.getUserByIdentifier('BOB@example.com')).id).toBe(user.id);
    expect((await passage.user.update(user.id, { phone: '+12025550123' })).phone).toBe('+12025550123');
    expect((await passage.user.deactivate(user.id)).status).toBe('inactive');
    expect((await passage.user.activate(user.id)).status).toBe('active');
    expect(await passage.user.listDevices(user.id)).toEqual([]);
    expect(await passage.user.revokeRefreshTokens(user.id)).toBe(true);
    await expect(passage.user.revokeDevice(user.id, 'unknown')).rejects.toMatchObject({ statusCode: 404 });
    expect(await passage.user.delete(user.id)).toBe(true);
    await expect(passage.user.get(user.id)).rejects.toMatchObject({ statusCode: 404 });
    await expect(passage.user.getUserByIdentifier('bob@example.com')).rejects.toThrow('User not found.');
    await expect(passage.user.create({ email: 'nobody' })).rejects.toThrow(
      'identifier: must be a valid email address.',
    );
  });

  it('sends magic links, and reads the app', async () => {
    const link = await passage.auth.createMagicLink({ email: 'eve@example.com', type: 'login', send: true });
    expect(link.url).toContain('psg_magic_link=');
    expect((await passage.getApp()).name).toBe('Passage');
  });
});
