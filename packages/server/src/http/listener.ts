import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { setTimeout as delay, setImmediate as polled } from 'node:timers/promises';

/** Time without a new connection or request after which a closing port expects no more, in milliseconds. */
const quiet = 150;
/** Longest time in which a closing port accepts new requests, in milliseconds. Proxies take a while to notice that it closes. */
const farewell = 5_000;
/** Longest time to close a port, in milliseconds. */
const patience = 9_000;

/** An open port. */
export interface Listener {
  readonly port: number;
  /** Answers requests in progress and those still arriving, then closes the port. Takes less than ten seconds. */
  close(): Promise<void>;
}

/** @throws Error `EADDRINUSE` if the port is in use */
export async function openListener(
  handler: (req: IncomingMessage, res: ServerResponse) => void,
  port: number,
  host: string | undefined,
): Promise<Listener> {
  let closing = false;
  let underWay = 0;
  let lastSign = 0;
  /** Waits until no request is in progress or arriving. */
  const settle = async (deadline: number) => {
    lastSign = Date.now();
    while (Date.now() < deadline && (underWay > 0 || Date.now() - lastSign < quiet)) {
      await delay(25);
      // On a busy machine this process may be late, so it first reads the requests that have arrived.
      await polled();
    }
  };
  const server = createServer((req, res) => {
    underWay += 1;
    lastSign = Date.now();
    res.once('close', () => {
      underWay -= 1;
    });
    // Tells clients to close the connection, so that their next request does not fail on it.
    if (closing) res.setHeader('Connection', 'close');
    handler(req, res);
  });
  server.on('connection', () => {
    lastSign = Date.now();
  });
  // A client that sends headers or a body slowly can hold a socket only this long.
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
      await settle(start + farewell);
      // Unlike `http.Server.close`, this keeps idle connections, because their next request may be arriving.
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
      await settle(start + patience);
      server.closeAllConnections();
      await closed;
    },
  };
}
