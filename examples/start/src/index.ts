/**
 * What the examples share: they listen on `PORT`, and bring their own Passage server where none is configured.
 *
 * @module
 */
import { createServer, type RequestListener } from 'node:http';

const variables = ['APP_ID', 'API_KEY', 'BASE_URL', 'AUTH_URL', 'API_URL', 'ISSUER'].map(
  (name) => `PASSAGE_${name}`,
);

/**
 * Serves an example, or stops the process with one line that says what is wrong.
 *
 * @param load Loads the app. Called when the environment names a Passage server.
 */
export async function start(load: () => Promise<RequestListener>): Promise<void> {
  try {
    const port = readPort(process.env.PORT || '3000');
    // Express shows stack traces to clients otherwise.
    process.env.NODE_ENV ??= 'production';
    const configured = variables.some((name) => process.env[name]);
    const passage = configured ? undefined : await (await import('./embedded.ts')).startEmbedded(port);
    const app = await load();
    await listen(port, (req, res) => {
      if (passage && /^\/passage(?:[/?]|$)/.test(req.url ?? '')) passage(req, res);
      else app(req, res);
    });
    console.log(`Ready at http://localhost:${port}`);
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

async function listen(port: number, listener: RequestListener): Promise<void> {
  const server = createServer(listener);
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, resolve));
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
