import { createServer, type Server } from 'node:http';
import type { Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { RunningApp } from './contract.ts';

/** Serves a request listener on a free port. */
export async function listen(
  // biome-ignore lint/suspicious/noExplicitAny: listeners of HTTP/1.1 and of HTTP/2 have no common type.
  listener: (request: any, response: any) => unknown,
  server: Server | Http2Server = createServer(),
): Promise<RunningApp> {
  server.on('request', listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      if ('closeAllConnections' in server) server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
