import { describe, expect, it } from 'vitest';
import { secret, TestServer } from '../../test/server.ts';
import { createSecrets } from '../storage/secrets.ts';
import { makeProbe } from './probe.ts';

const memory = async () => ({ location: ':memory:', drop: async () => {} });

describe('A probe of doctor', () => {
  const own = createSecrets(Buffer.from(secret, 'base64'));
  const ask = async (server: TestServer, probe: string, ip = '10.0.0.1', forwarded?: string) => {
    const headers = { 'X-Passage-Probe': probe, ...(forwarded && { 'X-Forwarded-For': forwarded }) };
    const answer = await server.call('GET', '/login', undefined, { ip, headers });
    expect(answer.status).toBe(200);
    return JSON.parse(answer.headers.get('X-Passage-Seen') ?? 'null');
  };

  it('is told how the request reached the server', async () => {
    await using server = await TestServer.start(memory, { trustedProxies: ['10.0.0.1'] });
    const probe = makeProbe(own, server.now);
    const forwarded = '203.0.113.9, 203.0.113.7';
    expect(await ask(server, probe, '10.0.0.1', forwarded)).toEqual({
      connection: '10.0.0.1',
      client: '203.0.113.7',
      trusted: true,
      forwarded: 2,
      read: 1,
    });
    expect(await ask(server, probe, '10.0.0.2', forwarded)).toMatchObject({
      client: '10.0.0.2',
      trusted: false,
      read: 0,
    });
    expect(await ask(server, probe)).toMatchObject({
      client: '10.0.0.1',
      trusted: true,
      forwarded: 0,
      read: 0,
    });
  });

  it('of a stranger is told nothing', async () => {
    await using server = await TestServer.start(memory);
    const good = makeProbe(own, server.now);
    const others = createSecrets(Buffer.from(secret, 'base64').reverse());
    const later = `${server.now + 1}.${good.split('.')[1]}`;
    for (const probe of [
      'x',
      '.',
      `${server.now}.`,
      `${good}x`,
      good.slice(0, -1),
      later,
      makeProbe(others, server.now),
    ])
      expect(await ask(server, probe), probe).toBeNull();
    expect(await ask(server, good)).not.toBeNull();
    server.advance(301);
    expect(await ask(server, good)).toBeNull();
  });
});
