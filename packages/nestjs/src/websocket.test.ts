import type { IncomingMessage } from 'node:http';
import { UseGuards } from '@nestjs/common';
import nest from '@nestjs/core/package.json' with { type: 'json' };
import { WsAdapter } from '@nestjs/platform-ws';
import { type OnGatewayConnection, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { TestPassage } from '@passage-auth/testing';
import { io, type Socket } from 'socket.io-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { passageForTest, signIn, startApp } from './app.fixture.ts';
import { CurrentUser, OptionalAuth, PassageGuard, PassageModule, type PassageUser, UserId } from './index.ts';

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
