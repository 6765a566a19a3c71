/**
 * What the examples share: they listen on `PORT`, and bring their own Passage server where none is configured.
 *
 * @module
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AppSettings, PassageServer } from '@passage-auth/server';

const variables = ['APP_ID', 'API_KEY', 'BASE_URL', 'AUTH_URL', 'API_URL', 'ISSUER'].map(
  (name) => `PASSAGE_${name}`,
);

/**
 * Serves an example until the process is told to stop, or stops it with one line that says what is wrong.
 *
 * @param load Loads the app. Called when the environment names a Passage server, which may be `embedded` in this process.
 * @param settings What the embedded server's app needs besides an origin.
 */
export async function start(
  load: (passage: { embedded: boolean }) => Promise<RequestListener>,
  settings: AppSettings = {},
): Promise<void> {
  try {
    const port = readPort(process.env.PORT || '3000');
    // Express shows stack traces to clients otherwise.
    process.env.NODE_ENV ??= 'production';
    let passage: PassageServer | undefined;
    let app: RequestListener = (_req, res) => res.writeHead(503, { 'Retry-After': '1' }).end();
    // The port comes first: a second start by mistake must not touch the data of the first.
    const server = await listen(port, (req, res) => {
      if (passage && /^\/passage(?:[/?]|$)/.test(req.url ?? '')) passage.handler(req, res);
      else app(req, res);
    });
    const embedded = !variables.some((name) => process.env[name]);
    if (embedded) passage = await (await import('./embedded.ts')).startEmbedded(port, settings);
    app = await load({ embedded });
    stopOnSignal(server, async () => passage?.close());
    console.log(`Ready at http://localhost:${port} (Ctrl+C stops it)`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}

function readPort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new TypeError('PORT must be a number from 1 to 65535');
  }
  return port;
}

async function listen(port: number, listener: RequestListener): Promise<Server> {
  const server = createServer(listener);
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, resolve));
    return server;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new Error(
      code === 'EADDRINUSE'
        ? `Port ${port} is in use: stop what listens there, or set PORT to another`
        : `Cannot listen on port ${port} (${code}): set PORT to another`,
      { cause },
    );
  }
}

/** Answers the requests under way, closes the database and ends the process. A second signal ends it at once. */
function stopOnSignal(server: Server, close: () => Promise<void>): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      server.close(async () => {
        await close();
        process.exit();
      });
    });
  }
}
