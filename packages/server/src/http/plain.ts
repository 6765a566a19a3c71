import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BlockList } from 'node:net';
import { createClientReader } from './client.ts';
import { addCommonHeaders } from './headers.ts';
import { answerNode } from './node.ts';
import { requestIdHeader, requestIdOf } from './requestid.ts';

/** Returns a handler of `node:http` for requests that do not reach the server: while it starts, and on the port for metrics. */
export function plainHandler(
  { origin, trustedProxies }: { origin: string; trustedProxies: BlockList },
  respond: (path: string) => Response | Promise<Response>,
): (req: IncomingMessage, res: ServerResponse) => void {
  const clients = createClientReader(trustedProxies);
  const identify = (given: string | null | undefined, remoteAddress: string | undefined) =>
    requestIdOf(given, clients.isProxy(remoteAddress));
  return (req, res) =>
    void answerNode(
      async ({ url, headers }, { remoteAddress }) => {
        const response = await respond(new URL(url).pathname);
        addCommonHeaders(response, identify(headers.get(requestIdHeader), remoteAddress));
        return response;
      },
      identify,
      origin,
      req,
      res,
    );
}
