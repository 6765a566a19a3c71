import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { Webhook } from 'standardwebhooks';

export const webhookSecret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** An event as its receiver reads it. */
export interface Event {
  type: string;
  timestamp: string;
  data: { app_id: string; user_id: string; passkey_id?: string; session_id?: string; fields?: string[] };
}

export interface Arrival {
  /** `webhook-id` */
  id: string;
  event: Event;
  body: string;
  headers: IncomingHttpHeaders;
}

/**
 * Starts a receiver of events that checks their signatures, as `standardwebhooks` does.
 *
 * @param answer Status for an event; never to answer at all.
 */
export async function startReceiver(answer: (event: Event) => number | Promise<number> = () => 204) {
  const arrivals: Arrival[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    if (request.method === 'HEAD') return response.writeHead(405).end();
    const event = new Webhook(webhookSecret).verify(body, request.headers as Record<string, string>) as Event;
    arrivals.push({ id: String(request.headers['webhook-id']), event, body, headers: request.headers });
    response.writeHead(await answer(event)).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    arrivals,
    types: () => arrivals.map(({ event }) => event.type),
    url: `http://127.0.0.1:${port}/events`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}
