/** Largest answer that is read, in bytes. */
const maximumBytes = 1024 * 1024;

/**
 * Runs a piece of work that ends when it is done, after a time, or when the caller aborts, whichever is first. The work
 * gets a signal, but ends in time even where it ignores that signal.
 *
 * @param milliseconds Limit of the whole work.
 * @throws DOMException `TimeoutError`, or the reason of the caller's signal
 * @internal
 */
export async function withDeadline<T>(
  milliseconds: number,
  caller: AbortSignal | null | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const timer = setTimeout(() => {
    deadline.abort(new DOMException('Timed out', 'TimeoutError'));
  }, milliseconds);
  const signal = caller ? AbortSignal.any([caller, deadline.signal]) : deadline.signal;
  const stopped = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    signal.throwIfAborted();
    return await Promise.race([work(signal), stopped]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Wraps `fetch` so that it gives complete answers only: headers and body within the time, at most 1 MB, no redirect.
 *
 * @param timeout Limit of one request, headers and body, in milliseconds.
 * @internal
 */
export function boundedFetch(fetch: typeof globalThis.fetch, timeout: number): typeof globalThis.fetch {
  return (input, init) =>
    withDeadline(timeout, init?.signal, async (signal) => {
      // Not 'error': Workers know 'manual' only. Following would show the API key to whoever is redirected to.
      const response = await fetch(input, { ...init, redirect: 'manual', signal });
      if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400)) {
        await response.body?.cancel();
        throw new TypeError('Redirects are refused');
      }
      const body = await readBody(response);
      return new Response(body.length > 0 ? body : null, {
        status: response.status,
        headers: response.headers,
      });
    });
}

async function readBody(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maximumBytes) throw new RangeError('Larger than 1 MB');
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
