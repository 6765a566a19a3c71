import type { Session } from '@passage-auth/testing';
import { expect, it } from 'vitest';
import { describeDatabases, describeStored } from '../../test/databases.ts';
import { baseUrl, origin, secret, signingKey, TestServer } from '../../test/server.ts';
import { outbox } from '../delivery/outbox.ts';
import { createPassageServer } from '../index.ts';
import { openStorage } from '../storage/database.ts';

const apiKey = `${'k'.repeat(10)}.${'s'.repeat(64)}`;

describeStored('Email addresses of older versions', (make) => {
  const start = async (location: string, log: object[] = []) => {
    const write = (fields: object) => void log.push(fields);
    return createPassageServer({
      baseUrl,
      secret,
      database: location,
      delivery: outbox({ print: false }),
      logger: { info: () => {}, warn: write, error: write },
      app: { id: 'app', apiKey, authOrigin: origin, signingKey },
    });
  };

  it('are rewritten at startup, and none is lost where two are the same', async () => {
    const { location, drop } = await make();
    const first = await start(location);
    const ids = ['plain', 'domain', 'taken', 'twice', 'hidden'];
    await first.apps.importUsers(
      'app',
      ids.map((id) => ({ id, email: id === 'taken' ? 'ada@xn--bcher-kva.example' : `${id}@example.com` })),
    );
    await first.close();
    const stored = {
      domain: 'grace@bücher.example',
      twice: 'ada@bücher.example',
      hidden: 'a\u200bb@example.com',
    };
    const storage = await openStorage(location);
    for (const [id, email] of Object.entries(stored))
      await storage.db.updateTable('users').set({ email }).where('id', '=', id).execute();
    await storage.db.deleteFrom('meta').where('name', '=', 'email addresses').execute();
    await storage.close();

    const look = async (log: object[]) => {
      const server = await start(location, log);
      const headers = { Authorization: `Bearer ${apiKey}` };
      const emails: Record<string, string> = {};
      for (const id of ids) {
        const url = `${baseUrl}/api/v1/apps/app/users/${id}`;
        emails[id] = (await (await server.fetch(new Request(url, { headers }))).json()).user.email;
      }
      await server.close();
      return emails;
    };
    const log: object[] = [];
    const expected = {
      plain: 'plain@example.com',
      domain: 'grace@xn--bcher-kva.example',
      taken: 'ada@xn--bcher-kva.example',
      twice: stored.twice,
      hidden: stored.hidden,
    };
    expect(await look(log)).toEqual(expected);
    const event = 'email.not_rewritten';
    const reports = [
      { app: 'app', user: 'hidden', event },
      { app: 'app', user: 'twice', event, other: 'taken' },
    ];
    expect(log).toEqual(reports);
    expect(JSON.stringify(log)).not.toContain('example');

    // The operator decides; until then every start says so.
    const again: object[] = [];
    await look(again);
    expect(again).toEqual(reports);
    const repaired = await start(location);
    for (const id of ['twice', 'hidden']) {
      const headers = { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json' };
      const body = JSON.stringify({ email: `${id}@example.com` });
      const url = `${baseUrl}/api/v1/apps/app/users/${id}`;
      await repaired.fetch(new Request(url, { method: 'PATCH', headers, body }));
    }
    await repaired.close();
    const quiet: object[] = [];
    await look(quiet);
    expect(quiet).toEqual([]);
    await drop();
  });
});

describeDatabases('One address', (make) => {
  const rounds = [0, 1, 2, 3, 4];

  it('goes to one of two users whose links are opened at once', async () => {
    await using server = await TestServer.start(make);
    for (const round of rounds) {
      const wanted = `wanted${round}@example.com`;
      const secrets = [];
      for (const name of ['ada', 'bob']) {
        const session = await server.signIn(`${name}${round}@example.com`);
        await server.auth('PATCH', '/currentuser/email', { new_email: wanted }, session);
        const url = new URL(server.messages.findLast(({ url }) => url)?.url ?? '');
        secrets.push(url.searchParams.get('psg_verify_link'));
      }
      const answers = await Promise.all(
        secrets.map((magic_link) => server.auth('PATCH', '/magic-link/activate', { magic_link })),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 400]);
      expect(answers.find(({ status }) => status === 400)?.body).toEqual({
        code: 'invalid_request',
        error: 'email: is already in use.',
      });
    }
  });

  it.each([{ email: 'wanted@example.com' }, { phone: '+15005550006' }])(
    'goes to one of two users whom the back end gives it at once: %j',
    async (address) => {
      await using server = await TestServer.start(make);
      const users = await Promise.all(
        ['ada', 'bob', 'eve'].map((name) =>
          server.manage('POST', '/users', { email: `${name}@example.com` }),
        ),
      );
      const answers = await Promise.all(
        users.map(({ body }) => server.manage('PATCH', `/users/${body.user.id}`, address)),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400]);
      expect(answers.find(({ status }) => status === 400)?.body).toEqual({
        code: 'invalid_request',
        error: 'identifier: already exists.',
      });
    },
  );

  it('makes one user when the back end adds it several times at once', async () => {
    await using server = await TestServer.start(make);
    for (const round of rounds) {
      const email = `wanted${round}@example.com`;
      const answers = await Promise.all(
        [email, email.toUpperCase(), email].map((text) => server.manage('POST', '/users', { email: text })),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 400, 400]);
    }
  });

  const takes = {
    'a link': async (server: TestServer, session: Session, email: string) => {
      await server.auth('PATCH', '/currentuser/email', { new_email: email }, session);
      const url = new URL(server.messages.findLast(({ url }) => url)?.url ?? '');
      const magic_link = url.searchParams.get('psg_verify_link');
      return server.auth('PATCH', '/magic-link/activate', { magic_link });
    },
    'the back end': (server: TestServer, { userId }: Session, email: string) =>
      server.manage('PATCH', `/users/${userId}`, { email }),
  };

  it.each(['a link', 'the back end'] as const)(
    'is not kept by a sign-up that nobody finished, when %s gives it to a user',
    async (way) => {
      await using server = await TestServer.start(make);
      const session = await server.signIn('ada@example.com');
      const email = 'wanted@example.com';
      const begun = await server.auth('POST', '/register/webauthn/start', { identifier: email });
      const { otpId, code } = await server.sendCode(email, 'register');
      expect((await takes[way](server, session, email)).status).toBe(200);
      const found = await server.auth('GET', `/users?identifier=${email}`);
      expect(found.body.user.id).toBe(session.userId);
      expect((await server.manage('GET', `/users/${begun.body.user.id}`)).status).toBe(404);
      const late = [
        await server.auth('POST', '/register/webauthn/finish', {
          user_id: begun.body.user.id,
          handshake_id: begun.body.handshake.id,
          handshake_response: await server.authenticator().create(begun.body.handshake.challenge.publicKey),
        }),
        await server.auth('POST', '/otp/activate', { otp_id: otpId, otp: code }),
      ];
      expect(late.map(({ status }) => status)).toEqual([400, 400]);
    },
  );

  it.each(['a link', 'the back end'] as const)(
    'stays with its user, when %s gives it to another',
    async (way) => {
      await using server = await TestServer.start(make);
      const session = await server.signIn('ada@example.com');
      const owners = ['passkey@example.com', 'made@example.com', 'known@example.com', 'imported@example.com'];
      await server.register(owners[0] ?? '');
      await server.manage('POST', '/users', { email: owners[1] });
      const { body } = await server.auth('POST', '/users', { identifier: owners[2] });
      await server.manage('PATCH', `/users/${body.user.id}`, { user_metadata: {} });
      const imported = [{ email: owners[3], status: 'pending' as const }];
      await server.server.apps.importUsers(server.appId, imported);
      for (const email of owners) {
        expect((await takes[way](server, session, email)).status).toBe(400);
        const found = await server.auth('GET', `/users?identifier=${email}`);
        expect(found.body.user.id).not.toBe(session.userId);
      }
    },
  );

  it('goes to the sign-up or to the link, when both are finished at once', async () => {
    await using server = await TestServer.start(make);
    for (const round of rounds) {
      const email = `wanted${round}@example.com`;
      const session = await server.signIn(`ada${round}@example.com`);
      const { body } = await server.auth('POST', '/register/webauthn/start', { identifier: email });
      const { handshake, user } = body;
      const handshake_response = await server.authenticator().create(handshake.challenge.publicKey);
      const finish = { user_id: user.id, handshake_id: handshake.id, handshake_response };
      const [signUp, change] = await Promise.all([
        server.auth('POST', '/register/webauthn/finish', finish),
        takes['a link'](server, session, email),
      ]);
      const found = await server.auth('GET', `/users?identifier=${email}`);
      const finished = signUp.status === 201;
      expect(found.body.user.id).toBe(finished ? user.id : session.userId);
      expect(change.status).toBe(finished ? 400 : 200);
      // The passkey was still being verified, or was already.
      if (!finished) expect([400, 404]).toContain(signUp.status);
    }
  });
});
