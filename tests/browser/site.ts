import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import {
  createPassageServer,
  type OutboxMessage,
  outbox,
  type PassageServer,
  type PassageServerOptions,
} from '@passage-auth/server';

export interface Site extends AsyncDisposable {
  readonly origin: string;
  readonly server: PassageServer;
  readonly appId: string;
  readonly apiKey: string;
  /** What was sent to users, oldest first. */
  readonly messages: readonly OutboxMessage[];
}

/** Starts a web site with a Passage server below `/passage`, and pages of its own elsewhere. */
export async function startSite(
  options: Partial<PassageServerOptions> = {},
  pages: RequestListener = (_req, res) => res.end('<!doctype html><title>Home</title>'),
): Promise<Site> {
  let listener: RequestListener = (_req, res) => res.writeHead(503).end();
  const http = createServer((req, res) => listener(req, res)).listen(0);
  await once(http, 'listening');
  const origin = `http://localhost:${(http.address() as { port: number }).port}`;
  const delivery = outbox({ print: false });
  const server = await createPassageServer({
    baseUrl: `${origin}/passage`,
    secret: randomBytes(32).toString('base64'),
    database: ':memory:',
    delivery,
    rateLimits: false,
    ...options,
    app: { name: 'Acme', ...options.app },
  });
  if (!server.created) throw new Error('The server has an app already');
  listener = (req, res) => {
    if (req.url?.startsWith('/passage/')) return server.handler(req, res);
    if (!res.headersSent) res.setHeader('Content-Type', 'text/html');
    pages(req, res);
  };
  return {
    origin,
    server,
    ...server.created,
    messages: delivery.messages,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      http.close();
      await server.close();
    },
  };
}
