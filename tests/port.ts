import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** Returns a port that nobody listens on, for a process that must be told its port. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
