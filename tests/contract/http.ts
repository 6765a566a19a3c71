import { type IncomingHttpHeaders, request } from 'node:http';
import { connect, type IncomingHttpHeaders as Http2Headers } from 'node:http2';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

export interface Call {
  method?: string;
  /** A list is sent as one line for each value. */
  headers?: Record<string, string | number | string[]>;
  body?: string;
  signal?: AbortSignal;
}

/** Sends a request just as it is given: `fetch` normalizes paths, joins headers and refuses some methods. */
export function send(origin: string, path: string, call: Call = {}): Promise<Answer> {
  const { hostname, port } = new URL(origin);
  const { method = 'GET', headers = {}, body, signal } = call;
  return new Promise((resolve, reject) => {
    const options = { hostname, port, path, method, headers, agent: false, ...(signal && { signal }) };
    const req = request(options, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk: string) => {
        text += chunk;
      });
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, text }));
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end(body);
  });
}

/** The same over HTTP/2, without TLS. */
export function sendHttp2(origin: string, path: string, call: Call = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, signal } = call;
  const client = connect(origin);
  return new Promise<Answer>((resolve, reject) => {
    client.on('error', reject);
    const stream = client.request({ ':path': path, ':method': method, ...headers }, { signal });
    let text = '';
    let answered: Http2Headers = {};
    stream.setEncoding('utf8');
    stream.on('response', (received) => {
      answered = received;
    });
    stream.on('data', (chunk: string) => {
      text += chunk;
    });
    stream.on('error', reject);
    stream.on('end', () => {
      const { ':status': status, ...rest } = answered;
      resolve({ status: Number(status), headers: rest as IncomingHttpHeaders, text });
    });
    stream.end(body);
  }).finally(() => client.destroy());
}
