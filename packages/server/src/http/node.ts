import type { IncomingMessage, ServerResponse } from 'node:http';
import { WireError } from '../errors.ts';
import { JsonResponse } from '../json.ts';
import { isPlainPath } from '../urls.ts';
import { collectBody } from './body.ts';
import { addCommonHeaders } from './headers.ts';
import { requestIdHeader } from './requestid.ts';

type MountedRequest = IncomingMessage & {
  /** Path before Express or Nest removed the mount path. */
  originalUrl?: string;
  /** Body, if a body parser ran before. */
  body?: unknown;
};

/** The parts of a request that the server reads. Creating a `Request`, with signal and stream, takes as long as a small answer. */
export interface RequestParts {
  readonly method: string;
  readonly url: string;
  readonly headers: Pick<Headers, 'get'>;
  readonly body: Iterable<Uint8Array> | AsyncIterable<Uint8Array> | Request['body'];
}

/** Answers a request, given the address of its connection. */
type Fetch = (request: RequestParts, connection: { remoteAddress: string | undefined }) => Promise<Response>;

/**
 * Answers a request of `node:http` with a fetch handler.
 *
 * @param identify Returns the ID of a request, for requests that are refused before the fetch handler.
 */
export async function answerNode(
  fetch: Fetch,
  identify: (given: string | undefined, remoteAddress: string | undefined) => string,
  origin: string,
  req: MountedRequest,
  res: ServerResponse,
): Promise<void> {
  // Read first: after a refusal midway through the request, the socket no longer has the address.
  const remoteAddress = req.socket?.remoteAddress;
  try {
    const response = await fetch(await toRequest(req, origin), { remoteAddress });
    await send(response, req, res);
  } catch (error) {
    if (res.headersSent) return void res.destroy();
    const refusal = error instanceof WireError ? error : new WireError('invalid_request');
    const response = refusal.toResponse();
    const given = req.headers[requestIdHeader.toLowerCase()];
    addCommonHeaders(response, identify(given?.toString(), remoteAddress));
    await send(response, req, res);
  }
}

async function toRequest(req: MountedRequest, origin: string): Promise<RequestParts> {
  const method = (req.method ?? 'GET').toUpperCase();
  // RFC 9112 §3.2.2: a proxy may send the whole URL.
  const path = (req.originalUrl ?? req.url ?? '/').replace(/^https?:\/\/[^/?#]*(?=\/)/i, '');
  // Checked before `URL` normalizes the path.
  if (!path.startsWith('/') || !isPlainPath(path.split('?', 1)[0] ?? '')) throw new WireError('not_found');
  const { href } = new URL(path, origin);
  const body = method === 'GET' || method === 'HEAD' ? undefined : await readBody(req);
  return {
    method,
    url: href,
    headers: { get: (name) => readField(req, name) },
    body: body === undefined ? null : [Buffer.from(body)],
  };
}

/** Reads a header field. `req.headers` may keep only the first of several, but requests of function platforms have nothing else. */
function readField({ headers, rawHeaders = [] }: Partial<IncomingMessage>, name: string): string | null {
  const wanted = name.toLowerCase();
  const isNamed = (other: string | undefined) =>
    other?.length === wanted.length && other.toLowerCase() === wanted;
  const values: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (isNamed(rawHeaders[index])) values.push(rawHeaders[index + 1] ?? '');
  }
  if (rawHeaders.length === 0) {
    for (const [other, value] of Object.entries(headers ?? {}))
      if (isNamed(other)) values.push(...[value ?? []].flat());
  }
  return values.length > 0 ? values.join(', ') : null;
}

async function readBody(req: MountedRequest): Promise<string | Uint8Array | undefined> {
  if (req.readableEnded || req.complete) {
    const parsed = parsedBody(req.body);
    if (parsed !== undefined) return parsed;
  }
  const bytes = await collectBody(req);
  return bytes.byteLength > 0 ? bytes : parsedBody(req.body);
}

/** For a body that no parser read, Express 4 sets `{}` and Express 5 nothing. */
function parsedBody(body: unknown): string | Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  return JSON.stringify(body);
}

async function send(response: Response, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const headers: Record<string, string | number> = Object.fromEntries(response.headers);
  const hasBody = response.status !== 204 && req.method !== 'HEAD';
  const body = hasBody ? await readContent(response) : '';
  if (hasBody) headers['Content-Length'] = Buffer.byteLength(body);
  // The rest of a refused body is not read.
  if (response.status === 413) headers.Connection = 'close';
  // Function platforms have a `writeHead` that returns nothing.
  res.writeHead(response.status, headers);
  res.end(body);
}

async function readContent(response: Response): Promise<string | Uint8Array> {
  if (response instanceof JsonResponse) return response.content;
  return response.body ? new Uint8Array(await response.arrayBuffer()) : '';
}
