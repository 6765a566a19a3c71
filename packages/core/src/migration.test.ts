import { startPassage } from '@passage-auth/testing';
import { describe, expect, it } from 'vitest';
import {
  type CreateMagicLinkArgs,
  type CreateUserArgs,
  type MagicLink,
  MagicLinkChannel,
  MagicLinkLanguage,
  type MagicLinkOptions,
  MagicLinkType,
  Passage,
  PassageError,
  type PassageOptions,
  type PassageUser,
  type UpdateUserArgs,
  UserStatus,
} from './index.ts';

// What follows is written as for the official SDK: names, arguments and types are its own, and all must compile.
describe('code written for @passageidentity/passage-node 3', () => {
  it('works after its import was changed and a base URL was added', async () => {
    await using server = await startPassage({ port: 0 });
    const passageConfig: PassageOptions = {
      appId: server.env.PASSAGE_APP_ID,
      apiKey: server.env.PASSAGE_API_KEY,
      baseUrl: server.env.PASSAGE_BASE_URL,
    };
    const passage = new Passage(passageConfig);

    const session = await server.signIn('ada@example.com');
    const userId: string = await passage.auth.validateJwt(session.token);
    expect(userId).toBe(session.userId);
    await expect(passage.auth.validateJwt('')).rejects.toThrow(Error);

    const passageUser: PassageUser = await passage.user.get(userId);
    expect(passageUser.email).toBe('ada@example.com');
    expect(await passage.user.getByIdentifier('ada@example.com')).toEqual(passageUser);
    expect((await passage.user.deactivate(userId)).status).toBe(UserStatus.Inactive);
    expect((await passage.user.activate(userId)).status).toBe(UserStatus.Active);

    const args: CreateUserArgs = { email: 'grace@example.com', phone: '+12025550123' };
    const created: PassageUser = await passage.user.create(args);
    const changes: UpdateUserArgs = { email: 'hopper@example.com' };
    expect((await passage.user.update(created.id, changes)).email).toBe('hopper@example.com');
    expect((await passage.user.listDevices(created.id)).length).toBe(0);
    await passage.user.revokeRefreshTokens(created.id);

    const { userId: owner } = await server.authenticator().register('eve@example.com');
    const [device] = await passage.user.listDevices(owner);
    await passage.user.revokeDevice(owner, device?.id ?? '');
    expect(await passage.user.listDevices(owner)).toEqual([]);

    const links: CreateMagicLinkArgs[] = [
      { email: 'hopper@example.com', type: MagicLinkType.Login, send: true },
      { phone: '+12025550123', type: MagicLinkType.VerifyIdentifier, send: true },
      { userId: created.id, channel: MagicLinkChannel.Email, type: MagicLinkType.Login, send: false },
    ];
    const options: MagicLinkOptions = {
      language: MagicLinkLanguage.En,
      magicLinkPath: '/link',
      redirectUrl: '/',
      ttl: 12,
    };
    for (const link of links) {
      const magicLink: MagicLink = await passage.auth.createMagicLink(link, options);
      expect(magicLink).toMatchObject({ type: link.type, userId: created.id, redirectUrl: '/', ttl: 12 });
    }

    await passage.user.delete(created.id);
    try {
      await passage.user.get(created.id);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(PassageError);
      expect((error as PassageError).message).toBe('The Passage API refused the call');
    }
  });

  it('must name the app, and says how', () => {
    expect(() => new Passage({ apiKey: 'key', baseUrl: 'http://localhost', appId: '' })).toThrow(/appId/);
  });
});
