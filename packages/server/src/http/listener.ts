import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Time without a request after which nothing is taken to be on its way any more, in milliseconds. */
const quiet = 150;
/** Longest time to wait for requests under way, in milliseconds. */
const patience = 8_000;

/** An open port. */
export interface Listener {
  readonly port: number;
  /** Answers what is under way and on its way, then closes the port. Takes less than ten seconds. */
  close(): Promise<void>;
}

/** @throws Error `EADDRINUSE` when the port is taken */
export async function openListener(
  handler: (req: IncomingMessage, res: ServerResponse) => void,
  port: number,
  host: string | undefined,
): Promise<Listener> {
  let closing = false;
  let underWay = 0;
  let lastRequest = 0;
  const server = createServer((req, res) => {
    underWay += 1;
    lastRequest = Date.now();
    res.once('close', () => {
      underWay -= 1;
    });
    // Clients are told to go, instead of having the connection cut below their next request.
    if (closing) res.setHeader('Connection', 'close');
    handler(req, res);
  });
  // Slow headers and bodies hold a socket for this long and no longer.
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      closing = true;
      const start = Date.now();
      lastRequest = start;
      while (Date.now() - start < patience && (underWay > 0 || Date.now() - lastRequest < quiet))
        await delay(25);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
