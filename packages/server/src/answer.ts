/** An answer. `Response` and `Headers` take longer to make than all else of a small answer, so only callers of `fetch` get them. */
export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly content: string;
}

export function json(data: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return {
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
    content: JSON.stringify(data),
  };
}

/** @param method Of the request: an answer to HEAD has no body. */
export function toResponse({ status, headers, content }: Answer, method: string): Response {
  return new Response(method === 'HEAD' || content === '' ? null : content, { status, headers });
}
