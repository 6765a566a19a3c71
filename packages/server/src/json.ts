/**
 * An answer in JSON. Its text stays at hand for `node:http`: making a stream of it and reading that again takes longer than all else
 * that a small answer needs.
 */
export class JsonResponse extends Response {
  readonly content: string;

  constructor(
    data: unknown,
    { status = 200, headers }: { status?: number; headers?: Record<string, string> } = {},
  ) {
    super(null, { status, headers: { 'Content-Type': 'application/json', ...headers } });
    this.content = JSON.stringify(data);
  }

  /** For what knows `Response` only, such as Hono where it copies one. */
  override get body(): Response['body'] {
    return new Response(this.content).body;
  }
}

/** Returns a response that is one in every respect, for callers of `fetch`. */
export function toWhole(response: Response): Response {
  return response instanceof JsonResponse ? new Response(response.content, response) : response;
}
