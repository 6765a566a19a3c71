import type { IncomingMessage } from 'node:http';
import { Inject, Logger, UseGuards } from '@nestjs/common';
import nest from '@nestjs/core/package.json' with { type: 'json' };
import { WsAdapter } from '@nestjs/platform-ws';
import { type OnGatewayConnection, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { TestPassage } from '@passage-auth/testing';
import { io, type Socket } from 'socket.io-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import WebSocket from 'ws';
import { passageForTest, signIn, startApp } from './app.fixture.ts';
import {
  CurrentUser,
  type GatewayClient,
  OptionalAuth,
  PassageGuard,
  PassageModule,
  type PassageUser,
  UserId,
} from './index.ts';

@WebSocketGateway()
@UseGuards(PassageGuard)
class AppGateway implements OnGatewayConnection {
  handleConnection(client: { request?: IncomingMessage }, request?: IncomingMessage) {
    // Socket.IO has it already.
    if (request && request.url !== '/?forgotten') client.request = request;
  }

  @SubscribeMessage('me')
  me(@CurrentUser() { id }: PassageUser) {
    return { event: 'me', data: { userId: id } };
  }

  @SubscribeMessage('anyone')
  @OptionalAuth()
  anyone(@UserId() userId: string | undefined) {
    return { event: 'anyone', data: { userId: userId ?? null } };
  }
}

@WebSocketGateway()
class ClosedGateway implements OnGatewayConnection {
  readonly #guard: PassageGuard;

  constructor(@Inject(PassageGuard) guard: PassageGuard) {
    this.#guard = guard;
  }

  async handleConnection(
    client: GatewayClient & { emit?: unknown; send?: unknown },
    request?: IncomingMessage,
  ) {
    const principal = await this.#guard.authenticateConnection(client, request);
    const data = { event: 'welcome', data: principal?.userId ?? null };
    if ('handshake' in client) client.emit?.('welcome', data.data);
    else (client as unknown as WebSocket).send(JSON.stringify(data));
  }

  @SubscribeMessage('me')
  @UseGuards(PassageGuard)
  me(@UserId() userId: string) {
    return { event: 'me', data: { userId } };
  }
}

describe.each(['Socket.IO', 'ws'])('authenticateConnection over %s', (kind) => {
  /** Connects, and returns what comes first: a welcome, or the end of the connection. */
  async function connect(
    passage: TestPassage,
    headers: Record<string, string> = {},
    options: object = {},
  ): Promise<string[]> {
    const { url } = await startApp(
      { imports: [PassageModule.forRoot({ ...passage.options, ...options })], providers: [ClosedGateway] },
      (app) => {
        if (kind === 'ws') app.useWebSocketAdapter(new WsAdapter(app));
      },
    );
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      if (kind === 'ws') {
        const socket = new WebSocket(url.replace('http', 'ws'), { headers });
        socket.on('message', (text) => {
          const { event, data } = JSON.parse(String(text));
          seen.push(`${event} ${data?.userId ?? data}`);
          if (event === 'welcome') socket.send(JSON.stringify({ event: 'me', data: {} }));
          else socket.close();
        });
        socket.on('close', (code, reason) => {
          seen.push(`closed ${code} ${reason}`);
          resolve();
        });
        return;
      }
      const socket = io(url, { extraHeaders: headers, transports: ['websocket'], forceNew: true });
      socket.onAny((event: string, data) => {
        seen.push(`${event} ${data?.userId ?? data?.code ?? data}`);
        if (event === 'welcome') socket.emit('me', {});
        else if (event === 'me') socket.close();
      });
      socket.on('disconnect', (reason) => {
        seen.push(`closed ${reason}`);
        resolve();
      });
    });
    return seen;
  }

  const closedWith = (code: string, status = 1008) =>
    kind === 'ws' ? [`closed ${status} ${code}`] : [`exception ${code}`, 'closed io server disconnect'];

  it('keeps a client whose token is good, and its messages', async () => {
    const passage = await passageForTest();
    const { authorization, user } = await signIn(passage);
    const seen = await connect(passage, { authorization });
    expect(seen.slice(0, 2)).toEqual([`welcome ${user.id}`, `me ${user.id}`]);
  });

  it('disconnects a client that would be refused', async () => {
    const passage = await passageForTest();
    const { authorization } = await signIn(passage);
    expect(await connect(passage)).toEqual(closedWith('ERR_PASSAGE_UNAUTHENTICATED'));
    expect(await connect(passage, { authorization: 'Bearer x' })).toEqual(
      closedWith('ERR_PASSAGE_INVALID_TOKEN'),
    );
    expect(await connect(passage, { authorization }, { authorize: () => false })).toEqual(
      closedWith('ERR_PASSAGE_FORBIDDEN'),
    );
  });

  it('disconnects while it cannot tell, and says so', async () => {
    using logged = vi.spyOn(Logger.prototype, 'error').mockReturnValue();
    const passage = await passageForTest();
    const { authorization } = await signIn(passage);
    const outage = passage.fault('jwks', 'unreachable');
    expect(await connect(passage, { authorization })).toEqual(closedWith('ERR_PASSAGE_UNAVAILABLE', 1013));
    const authorize = () => Promise.reject(new Error('the database is away'));
    outage.end();
    passage.advance('1m');
    expect(await connect(passage, { authorization }, { authorize })).toEqual(
      closedWith('ERR_PASSAGE_UNAVAILABLE', 1013),
    );
    expect(logged.mock.calls.map(([message]) => message)).toEqual([
      'The keys of the token issuer are temporarily unavailable',
      'the database is away',
    ]);
  });

  it('keeps guests where authentication is optional', async () => {
    const passage = await passageForTest();
    expect((await connect(passage, {}, { optional: true }))[0]).toBe('welcome null');
  });
});

describe.each(['Socket.IO', 'ws'])('gateways over %s', (kind) => {
  let passage: TestPassage;
  let url: string;
  const closing: (() => void)[] = [];

  beforeEach(async () => {
    passage = await passageForTest();
    const options = { ...passage.options, cookie: 'psg_auth_token' };
    ({ url } = await startApp(
      { imports: [PassageModule.forRoot(options)], providers: [AppGateway] },
      (app) => {
        if (kind === 'ws') app.useWebSocketAdapter(new WsAdapter(app));
      },
    ));
  });

  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });

  /** Sends a message over a connection of its own and returns what comes back. */
  async function ask(event: string, headers: Record<string, string> = {}, auth = {}) {
    return kind === 'ws' ? askWs(event, headers) : askSocketIo(event, headers, auth);
  }

  function askSocketIo(event: string, extraHeaders: Record<string, string>, auth: object) {
    const socket: Socket = io(url, { extraHeaders, auth, transports: ['websocket'], forceNew: true });
    closing.push(() => socket.close());
    return new Promise<{ event: string; data: unknown }>((resolve) => {
      socket.onAny((name: string, data: unknown) => resolve({ event: name, data }));
      socket.emit(event, {});
    });
  }

  function askWs(event: string, headers: Record<string, string>, path = '/') {
    const socket = new WebSocket(url.replace('http', 'ws') + path, { headers });
    closing.push(() => socket.close());
    return new Promise<{ event: string; data: unknown }>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('message', (text) => resolve(JSON.parse(String(text))));
      socket.on('open', () => socket.send(JSON.stringify({ event, data: {} })));
    });
  }

  // Nest 11 does not deliver exceptions over `ws`
  const delivers = kind === 'Socket.IO' || !nest.version.startsWith('11.');

  it('are guarded by the headers of the connection', async () => {
    const { authorization, user } = await signIn(passage);
    expect(await ask('me', { authorization })).toEqual({ event: 'me', data: { userId: user.id } });
    expect(await ask('anyone')).toEqual({ event: 'anyone', data: { userId: null } });
  });

  if (delivers)
    it('refuse with an exception', async () => {
      expect(await ask('me')).toEqual({
        event: 'exception',
        data: { status: 'error', message: 'Authentication is required', code: 'ERR_PASSAGE_UNAUTHENTICATED' },
      });
      expect(await ask('me', { authorization: 'Bearer x' })).toMatchObject({
        event: 'exception',
        data: { code: 'ERR_PASSAGE_INVALID_TOKEN' },
      });
    });

  if (delivers)
    it('refuse bad credentials where they are optional', async () => {
      expect(await ask('anyone', { authorization: 'Bearer x' })).toMatchObject({ event: 'exception' });
    });

  if (delivers)
    it('take the cookie from the same origin only, although connections are opened by GET', async () => {
      const { token, user } = await signIn(passage);
      const cookie = `psg_auth_token=${token}`;
      expect(await ask('me', { cookie, origin: url })).toEqual({ event: 'me', data: { userId: user.id } });
      for (const origin of ['https://evil.example', 'null']) {
        expect(await ask('me', { cookie, origin })).toMatchObject({
          data: { code: 'ERR_PASSAGE_INVALID_REQUEST' },
        });
      }
    });

  if (kind === 'ws')
    it('know nobody where the gateway does not keep the request', async () => {
      const { authorization } = await signIn(passage);
      expect(await askWs('anyone', { authorization }, '/?forgotten')).toMatchObject({
        data: { userId: null },
      });
    });

  if (kind === 'Socket.IO')
    it('take the token of `auth`, which browsers can send', async () => {
      const { token, user } = await signIn(passage);
      expect(await ask('me', {}, { token })).toEqual({ event: 'me', data: { userId: user.id } });
      expect(await ask('me', {}, { token: 'x' })).toMatchObject({
        data: { code: 'ERR_PASSAGE_INVALID_TOKEN' },
      });
      expect(await ask('me', {}, { token: 1 })).toMatchObject({
        data: { code: 'ERR_PASSAGE_UNAUTHENTICATED' },
      });
    });

  if (delivers)
    it('refuse a message when the token has expired since the connection was opened', async () => {
      const { authorization } = await signIn(passage);
      expect(await ask('me', { authorization })).toMatchObject({ event: 'me' });
      passage.advance('1h');
      expect(await ask('me', { authorization })).toMatchObject({
        data: { code: 'ERR_PASSAGE_INVALID_TOKEN' },
      });
    });
});
