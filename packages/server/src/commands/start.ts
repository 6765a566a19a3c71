import { readPort } from '../environment.ts';
import { WireError } from '../errors.ts';
import { openListener } from '../http/listener.ts';
import { plainHandler } from '../http/plain.ts';
import type { PassageServer } from '../index.ts';
import { type ResolvedOptions, resolveOptions } from '../options.ts';
import type { Service } from '../service.ts';
import { command } from './command.ts';

export const startCommands = [
  command({
    names: ['start'],
    summary: 'Start the server (default)',
    details: 'The first start creates an app, and prints its ID and API key once',
    options: {
      port: {
        value: 'port',
        summary: 'Port to listen on; 0 for any free port. Default is PORT, or 3000 without it',
      },
      host: { value: 'host', summary: 'Address to listen on. Default is HOST, or all addresses without it' },
    },
    async run({ options, environment, logger }) {
      const { listen, metricsPort, warnings, ...rest } = environment();
      const app = rest.app(true);
      for (const warning of warnings) logger.warn({}, warning);
      const port = options.port === undefined ? listen.port : readPort(options.port, '--port');
      const resolved = resolveOptions(rest.options);
      const { listener, serve } = await reserve(resolved, port, options.host ?? listen.host);
      const listeners = [listener];
      const closeListeners = () => Promise.all(listeners.map((one) => one.close()));
      const { openServer } = await import('../server.ts');
      const { server, service } = await openServer(
        { ...rest.options, app, logger },
        { use: 'serve', firstApp: true, storeOutbox: true },
      ).catch(async (error) => {
        await closeListeners();
        throw error;
      });
      if (metricsPort !== undefined) {
        const metrics = await openMetrics(service, metricsPort, options.host ?? listen.host).catch(
          async (error) => {
            await closeListeners();
            await server.close();
            throw error;
          },
        );
        listeners.push(metrics);
      }
      serve(server);
      closeOnSignals(service, closeListeners, server);
      // An operator who set the key knows it, and the output of containers is kept as a log.
      const apiKey = app.apiKey ? undefined : server.created?.apiKey;
      const created = server.created && { appId: server.created.appId, apiKey };
      const keep = apiKey ? ' Save its API key: it is not shown again.' : '';
      const key = apiKey ? `PASSAGE_API_KEY=${apiKey}\n` : '';
      const made = created ? `Created the first app.${keep}\nPASSAGE_APP_ID=${created.appId}\n${key}` : '';
      return {
        text: `${made}${listeners[1] ? `Metrics on port ${listeners[1].port}\n` : ''}Passage server on port ${listener.port}, for ${rest.options.baseUrl}`,
        data: { metricsPort: listeners[1]?.port, port: listener.port, url: rest.options.baseUrl, created },
      };
    },
  }),
];

/** Opens a port that answers `/metrics` and nothing else. */
async function openMetrics(
  { options, metrics: { registry } }: Service,
  port: number,
  host: string | undefined,
) {
  const handler = plainHandler(options, async (path) => {
    if (path !== '/metrics') return new WireError('not_found').toAnswer();
    return {
      status: 200,
      headers: { 'Content-Type': registry.contentType },
      content: await registry.metrics(),
    };
  });
  return openListener(handler, port, host).catch((error) => {
    throw explain(error, port, host, 'PASSAGE_METRICS_PORT');
  });
}

/** Opens the port before anything is written. Until the server runs, requests get 503. */
async function reserve(options: ResolvedOptions, port: number, host: string | undefined) {
  let handler: PassageServer['handler'] = plainHandler(options, () =>
    new WireError('service_unavailable', 'The server is starting', { retryAfter: 1 }).toAnswer(),
  );
  const listener = await openListener((req, res) => handler(req, res), port, host).catch((error) => {
    throw explain(error, port, host);
  });
  return {
    listener,
    serve(server: PassageServer) {
      handler = server.handler;
    },
  };
}

const causes: Readonly<Record<string, (port: number, host: string | undefined, name: string) => string>> = {
  EADDRINUSE: (port, _, name) =>
    `The port ${port} is in use: set ${name} to another port, or stop the process using it`,
  EACCES: (port, _, name) => `The port ${port} needs more privileges: set ${name} to a port above 1023`,
  EADDRNOTAVAIL: (_, host) => `HOST ${host} is not an address of this machine: set it to one, or unset it`,
  ENOTFOUND: (_, host) =>
    `HOST ${host} cannot be resolved: set it to an address of this machine, or unset it`,
  EAI_AGAIN: (_, host) =>
    `HOST ${host} cannot be resolved: set it to an address of this machine, or unset it`,
};

function explain(error: NodeJS.ErrnoException, port: number, host: string | undefined, name = 'PORT'): Error {
  const text = causes[error.code ?? '']?.(port, host, name);
  return text ? new Error(text, { cause: error }) : error;
}

function closeOnSignals(
  { closing }: Service,
  closeListeners: () => Promise<unknown>,
  server: PassageServer,
): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, async () => {
      try {
        // From now on `/readyz` answers 503, while the port still accepts requests.
        closing.abort(Date.now());
        await closeListeners();
        await server.close();
        process.exit(0);
      } catch (error) {
        console.error(`passage-server: ${(error as Error).message}`);
        process.exit(1);
      }
    });
  }
}
