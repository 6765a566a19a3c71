import type { IncomingMessage, ServerResponse } from 'node:http';
import { WireError } from '../errors.ts';
import { isPlainPath } from '../urls.ts';
import { collectBody } from './body.ts';
import { requestIdHeader } from './requestid.ts';

type MountedRequest = IncomingMessage & {
  /** Path before Express or Nest removed the mount path. */
  originalUrl?: string;
  /** Body, if a body parser ran before. */
  body?: unknown;
};

/** Answers a request, given the address of its connection. */
type Fetch = (request: Request, connection: { remoteAddress: string | undefined }) => Promise<Response>;

/**
 * Answers a request of `node:http` with a fetch handler.
 *
 * @param identify Returns the ID of a request, for what is refused before the fetch handler gets it.
 */
export async function answerNode(
  fetch: Fetch,
  identify: (given: string | undefined, remoteAddress: string | undefined) => string,
  origin: string,
  req: MountedRequest,
  res: ServerResponse,
): Promise<void> {
  // A socket whose request is refused halfway knows it no more.
  const remoteAddress = req.socket?.remoteAddress;
  try {
    const response = await fetch(await toRequest(req, origin), { remoteAddress });
    await send(response, req, res);
  } catch (error) {
    if (res.headersSent) return void res.destroy();
    const refusal = error instanceof WireError ? error : new WireError('invalid_request');
    const response = refusal.toResponse();
    const given = req.headers[requestIdHeader.toLowerCase()];
    response.headers.set(requestIdHeader, identify(given?.toString(), remoteAddress));
    await send(response, req, res);
  }
}

async function toRequest(req: MountedRequest, origin: string): Promise<Request> {
  const headers = new Headers();
  // HTTP/2 pseudo headers are no header fields.
  for (const [name, value] of fieldsOf(req)) if (!name.startsWith(':')) headers.append(name, value);
  const method = req.method ?? 'GET';
  // RFC 9112 §3.2.2: a proxy may send the whole URL.
  const path = (req.originalUrl ?? req.url ?? '/').replace(/^https?:\/\/[^/?#]*(?=\/)/i, '');
  // Before `URL` makes it plain.
  if (!path.startsWith('/') || !isPlainPath(path.split('?', 1)[0] ?? '')) throw new WireError('not_found');
  const body = method === 'GET' || method === 'HEAD' ? undefined : await readBody(req);
  return new Request(new URL(path, origin), { method, headers, body: (body ?? null) as BodyInit | null });
}

/** Header fields as they came. Function platforms make requests that have `headers` only. */
function fieldsOf({ headers, rawHeaders }: Partial<IncomingMessage>): [name: string, value: string][] {
  if (rawHeaders?.length) {
    return rawHeaders.flatMap((name, index) =>
      index % 2 === 0 ? [[name, rawHeaders[index + 1] ?? ''] as [string, string]] : [],
    );
  }
  return Object.entries(headers ?? {}).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, one]),
  );
}

async function readBody(req: MountedRequest): Promise<string | Uint8Array | undefined> {
  if (req.readableEnded || req.complete) {
    const parsed = parsedBody(req.body);
    if (parsed !== undefined) return parsed;
  }
  const bytes = await collectBody(req);
  return bytes.byteLength > 0 ? bytes : parsedBody(req.body);
}

/** For a body that no parser took, Express 4 gives `{}` and Express 5 nothing. */
function parsedBody(body: unknown): string | Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  return JSON.stringify(body);
}

async function send(response: Response, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body = response.body && req.method !== 'HEAD' ? Buffer.from(await response.arrayBuffer()) : undefined;
  res.statusCode = response.status;
  for (const [name, value] of response.headers) res.setHeader(name, value);
  if (response.status !== 204 && req.method !== 'HEAD')
    res.setHeader('Content-Length', body?.byteLength ?? 0);
  // The rest of a body that was refused is not read.
  if (response.status === 413) res.setHeader('Connection', 'close');
  res.end(body);
}
