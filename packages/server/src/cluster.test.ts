import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, createServer, type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { makeSchema, postgres } from '../test/databases.ts';
import { built, portOf, type Run, run } from '../test/process.ts';
import { secret } from '../test/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'passage-cluster-'));
afterAll(() => rmSync(folder, { recursive: true }));

const apiKey = `${'k'.repeat(10)}.${'s'.repeat(64)}`;

interface Node {
  server: Run;
  port: number;
  /** Whether `/readyz` says so. */
  ready: boolean;
}

async function start(database: string): Promise<Node> {
  const server = run(
    [],
    {
      PASSAGE_SECRET: secret,
      PASSAGE_BASE_URL: 'http://localhost:3000',
      PASSAGE_APP_ID: 'app',
      PASSAGE_API_KEY: apiKey,
      DATABASE_URL: database,
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'silent',
    },
    folder,
  );
  return { server, port: await portOf(server), ready: true };
}

interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Sends a request on to one process. Rejects where no answer comes. */
function send(port: number, agent: Agent, method: string, path: string, headers: object, body: Buffer) {
  return new Promise<Reply>((resolve, reject) => {
    const outgoing = request(
      { port, host: '127.0.0.1', agent, method, path, headers: { ...headers } },
      (incoming) => {
        const parts: Buffer[] = [];
        incoming
          .on('data', (part) => parts.push(part))
          .on('error', reject)
          .on('end', () =>
            resolve({
              status: incoming.statusCode ?? 0,
              headers: incoming.headers,
              body: Buffer.concat(parts),
            }),
          );
      },
    );
    outgoing
      .on('error', (error) => reject(Object.assign(error, { reused: outgoing.reusedSocket })))
      .end(body);
  });
}

/** A load balancer that takes the ready processes in turns, and asks the next one where one was not reached. */
async function openProxy(nodes: Node[], signal: 'SIGTERM' | 'SIGKILL') {
  const agent = new Agent({ keepAlive: true });
  let turn = 0;
  const proxy = createServer(async (req, res) => {
    const parts: Buffer[] = [];
    for await (const part of req) parts.push(part as Buffer);
    turn += 1;
    const inTurn = nodes.map((_, index) => nodes[(turn + index) % nodes.length] as Node);
    for (const { port } of inTurn.filter(({ ready }) => ready)) {
      try {
        const reply = await send(
          port,
          agent,
          req.method ?? '',
          req.url ?? '',
          req.headers,
          Buffer.concat(parts),
        );
        const { connection: _, ...headers } = reply.headers;
        return void res.writeHead(reply.status, headers).end(reply.body);
      } catch (error) {
        const { code, reused } = error as NodeJS.ErrnoException & { reused?: boolean };
        // A connection kept open may end just when it is used again; only a process that was killed may have read the request then.
        const missed = code === 'ECONNRESET' && reused && signal === 'SIGTERM';
        if (code !== 'ECONNREFUSED' && !missed) break;
      }
    }
    res.writeHead(502).end();
  });
  const check = async () => {
    for (const node of nodes) {
      const ready = await fetch(`http://127.0.0.1:${node.port}/readyz`).catch(() => undefined);
      node.ready = ready?.status === 200;
      await ready?.body?.cancel();
    }
  };
  let open = true;
  const watch = (async () => {
    // Less often than the time without a request after which a port closes: these are requests too.
    for (; open; await delay(250)) await check();
  })();
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    async close() {
      open = false;
      await watch;
      agent.destroy();
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}

// `CLUSTER_ROUNDS=30` kills each process ten times.
const rounds = Number(process.env.CLUSTER_ROUNDS ?? 3);

/** Makes users through the proxy while processes end and start again. Returns the addresses that were acknowledged, and the other statuses. */
async function endInTurns(signal: 'SIGTERM' | 'SIGKILL') {
  const database = await makeSchema(postgres());
  const nodes = [await start(database.location)];
  nodes.push(...(await Promise.all([start(database.location), start(database.location)])));
  const proxy = await openProxy(nodes, signal);
  const headers = { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json' };
  const call = (method: string, path: string, body?: object) =>
    fetch(`${proxy.origin}/api/v1/apps/app${path}`, {
      method,
      headers,
      ...(body && { body: JSON.stringify(body) }),
    });
  const acknowledged: string[] = [];
  const statuses = new Map<number, number>();
  let working = true;
  const work = async (worker: number) => {
    for (let count = 0; working; count += 1) {
      const email = `w${worker}-${count}@example.com`;
      const { status } = await call('POST', '/users', { email });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status === 201) acknowledged.push(email);
      await delay(5);
    }
  };
  const workers = Array.from({ length: 6 }, (_, worker) => work(worker));
  try {
    for (let round = 0; round < rounds; round += 1) {
      const ending = nodes[round % nodes.length] as Node;
      const before = acknowledged.length;
      while (acknowledged.length < before + 20) await delay(5);
      ending.server.child.kill(signal);
      const code = await ending.server.ended;
      if (signal === 'SIGTERM') expect(code).toBe(0);
      nodes[round % nodes.length] = await start(database.location);
    }
    working = false;
    await Promise.all(workers);
    const found = new Set<string>();
    for (let page = 1; found.size < acknowledged.length; page += 1) {
      const { users } = (await (await call('GET', `/users?limit=500&page=${page}`)).json()) as {
        users: { email: string }[];
      };
      if (users.length === 0) break;
      for (const { email } of users) found.add(email);
    }
    return { lost: acknowledged.filter((email) => !found.has(email)), statuses, acknowledged };
  } finally {
    working = false;
    for (const { server } of nodes) server.child.kill('SIGKILL');
    await Promise.all(nodes.map(({ server }) => server.ended));
    await proxy.close();
    await database.drop();
  }
}

describe.skipIf(!built)('Three processes on PostgreSQL behind a proxy (needs a build)', () => {
  it('lose no request while one after the other is stopped', {
    timeout: 60_000 + rounds * 30_000,
  }, async () => {
    const { lost, statuses, acknowledged } = await endInTurns('SIGTERM');
    expect(lost).toEqual([]);
    expect([...statuses.keys()]).toEqual([201]);
    expect(acknowledged.length).toBeGreaterThan(rounds * 20);
  });

  it('lose nothing acknowledged while one after the other is killed', {
    timeout: 60_000 + rounds * 30_000,
  }, async () => {
    const { lost, statuses, acknowledged } = await endInTurns('SIGKILL');
    expect(lost).toEqual([]);
    // Whether a request was done whose process is gone, nobody knows.
    expect([...statuses.keys()].filter((status) => status !== 201 && status !== 502)).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(rounds * 20);
  });
});
