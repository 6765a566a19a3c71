import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

/** Asks for the answer in place of the real one: see `Traffic`. */
type Interceptor = (pathname: string, signal: AbortSignal) => Promise<Response | undefined>;

/** A port of this machine, opened before there is a server to answer: its URL is one of the server's options. */
export class Listener {
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://localhost:${(server.address() as AddressInfo).port}`;
  }

  /** @param port 0 for any that is free. */
  static open(port: number): Promise<Listener> {
    const server = createServer();
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, 'localhost', () => resolve(new Listener(server)));
    });
  }

  serve(handler: Handler, intercept: Interceptor): void {
    this.#server.on('request', (req, res) => {
      const gone = new AbortController();
      res.once('close', () => gone.abort());
      const { pathname } = new URL(req.url ?? '/', this.url);
      intercept(pathname, gone.signal).then(
        (answer) => (answer ? send(answer, res) : handler(req, res)),
        () => res.destroy(),
      );
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

async function send(answer: Response, res: ServerResponse): Promise<void> {
  res.writeHead(answer.status, Object.fromEntries(answer.headers));
  res.end(await answer.text());
}
