import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BlockList } from 'node:net';
import type { Answer } from '../answer.ts';
import { createClientReader } from './client.ts';
import { addCommonHeaders } from './headers.ts';
import { type Answerer, answerNode } from './node.ts';
import { requestIdHeader, requestIdOf } from './requestid.ts';

/** Returns a handler of `node:http` for requests that do not reach the server: while it starts, and on the port for metrics. */
export function plainHandler(
  { origin, trustedProxies }: { origin: string; trustedProxies: BlockList },
  respond: (path: string) => Answer | Promise<Answer>,
): (req: IncomingMessage, res: ServerResponse) => void {
  const clients = createClientReader(trustedProxies);
  return (req, res) => {
    const [path = ''] = (req.url ?? '').split('?', 1);
    const answer: Answerer = async (headers, remoteAddress) => {
      const id = requestIdOf(headers.get(requestIdHeader), () => clients.isProxy(remoteAddress));
      const made = await respond(path);
      addCommonHeaders(made, id);
      return made;
    };
    void answerNode(answer, origin, req, res);
  };
}
