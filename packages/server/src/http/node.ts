import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer } from '../answer.ts';
import { WireError } from '../errors.ts';
import { collectBody } from './body.ts';

type MountedRequest = IncomingMessage & {
  /** Path before Express or Nest removed the mount path. */
  originalUrl?: string;
  /** Body, if a body parser ran before. */
  body?: unknown;
};

/** The parts of a request that the server reads. Creating a `Request`, with its signal and stream, takes as long as a small answer. */
export interface RequestParts {
  readonly method: string;
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Pick<Headers, 'get'>;
  readonly body: Iterable<Uint8Array> | AsyncIterable<Uint8Array> | Request['body'];
}

/**
 * Answers a request. Never rejects.
 *
 * @param remoteAddress Of the connection.
 * @param read Reads the request. If it throws, the answer is that error.
 */
export type Answerer = (
  headers: RequestParts['headers'],
  remoteAddress: string | undefined,
  read: () => RequestParts | Promise<RequestParts>,
) => Promise<Answer>;

/** Answers a request of `node:http`. */
export async function answerNode(
  answer: Answerer,
  origin: string,
  req: MountedRequest,
  res: ServerResponse,
): Promise<void> {
  const headers = { get: (name: string) => readField(req, name) };
  try {
    send(await answer(headers, req.socket?.remoteAddress, () => readRequest(req, headers, origin)), req, res);
  } catch {
    res.destroy();
  }
}

function readRequest(
  req: MountedRequest,
  headers: RequestParts['headers'],
  origin: string,
): RequestParts | Promise<RequestParts> {
  const method = (req.method ?? 'GET').toUpperCase();
  // RFC 9112 §3.2.2: a proxy may send the whole URL.
  const path = (req.originalUrl ?? req.url ?? '/').replace(/^https?:\/\/[^/?#]*(?=\/)/i, '');
  const parts = { method, origin, path, headers, body: null };
  if (method === 'GET' || method === 'HEAD') return parts;
  return readBody(req).then((body) => ({ ...parts, body: body === undefined ? null : [Buffer.from(body)] }));
}

/** Reads a header field. `req.headers` may keep only the first of several, but requests of function platforms have nothing else. */
function readField(req: Partial<IncomingMessage>, name: string): string | null {
  const wanted = name.toLowerCase();
  const isNamed = (other: string | undefined) =>
    other?.length === wanted.length && other.toLowerCase() === wanted;
  const { rawHeaders = [] } = req;
  const values: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (isNamed(rawHeaders[index])) values.push(rawHeaders[index + 1] ?? '');
  }
  // Node makes `headers` when it is read.
  if (rawHeaders.length === 0) {
    for (const [other, value] of Object.entries(req.headers ?? {}))
      if (isNamed(other)) values.push(...[value ?? []].flat());
  }
  return values.length > 0 ? values.join(', ') : null;
}

async function readBody(req: MountedRequest): Promise<string | Uint8Array | undefined> {
  if (req.readableEnded || req.complete) {
    const parsed = parsedBody(req.body);
    if (parsed !== undefined) return parsed;
  }
  const bytes = await collectBody(req).catch((error: unknown) => {
    throw error instanceof WireError ? error : new WireError('invalid_request');
  });
  return bytes.byteLength > 0 ? bytes : parsedBody(req.body);
}

/** For a body that no parser read, Express 4 sets `{}` and Express 5 nothing. */
function parsedBody(body: unknown): string | Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  return JSON.stringify(body);
}

function send({ status, headers, content }: Answer, req: IncomingMessage, res: ServerResponse): void {
  // RFC 9110 §8.6: in a 304, the length would be that of the document which it confirms.
  const body = status === 204 || status === 304 || req.method === 'HEAD' ? undefined : content;
  if (body !== undefined) headers['Content-Length'] = String(Buffer.byteLength(body));
  // The rest of a refused body is not read.
  if (status === 413) headers.Connection = 'close';
  // Function platforms have a `writeHead` that returns nothing.
  res.writeHead(status, headers);
  res.end(body);
}
