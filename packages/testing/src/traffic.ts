/** What a back end asks of Passage: the key set of the Auth API, or the Management API. */
export type Target = 'jwks' | 'api';

/**
 * What goes wrong: nobody answers (`unreachable`), the answer waits until the fault ends (`slow`), or there is
 * another answer, with `Retry-After` in seconds where given.
 */
export type FaultKind = 'unreachable' | 'slow' | { status: number; retryAfter?: number | undefined };

/** A fault that was begun. It lasts until it is ended, disposed of, or replaced by another one of the same target. */
export class Fault implements Disposable {
  /** Resolves when the first request has met the fault. */
  readonly reached: Promise<void>;
  readonly #kind: FaultKind;
  readonly #ended: Promise<void>;
  #reach!: () => void;
  #release!: () => void;
  #over = false;

  /** @internal */
  constructor(kind: FaultKind) {
    this.#kind = kind;
    this.reached = new Promise((resolve) => {
      this.#reach = resolve;
    });
    this.#ended = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  /** Ends the fault and lets requests through that waited. */
  end(): void {
    this.#over = true;
    this.#release();
  }

  [Symbol.dispose](): void {
    this.end();
  }

  /** Returns the answer in place of the real one, or `undefined` for the real one. @internal */
  async meet(signal: AbortSignal): Promise<Response | undefined> {
    if (this.#over) return undefined;
    this.#reach();
    if (this.#kind === 'unreachable') throw new TypeError('fetch failed');
    if (this.#kind === 'slow') return endedOrAborted(this.#ended, signal);
    const { status, retryAfter } = this.#kind;
    const headers = retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) };
    return Response.json(errorOf(status), { status, headers });
  }
}

/** The requests that an app under test sends: counted, and disturbed where a test says so. */
export class Traffic {
  readonly requests: Record<Target, number> = { jwks: 0, api: 0 };
  readonly #faults = new Map<Target, Fault>();

  begin(target: Target, kind: FaultKind): Fault {
    this.#faults.get(target)?.end();
    const fault = new Fault(kind);
    this.#faults.set(target, fault);
    return fault;
  }

  /**
   * Counts a request.
   *
   * @returns the answer in place of the real one, or `undefined` for the real one
   * @throws TypeError as `fetch` does when nobody answers
   */
  async pass(pathname: string, signal: AbortSignal): Promise<Response | undefined> {
    const target = targetOf(pathname);
    if (!target) return undefined;
    this.requests[target] += 1;
    return this.#faults.get(target)?.meet(signal);
  }

  /** Ends every fault, so that nothing waits for ever. */
  close(): void {
    for (const fault of this.#faults.values()) fault.end();
  }
}

function targetOf(pathname: string): Target | undefined {
  if (pathname.endsWith('/.well-known/jwks.json')) return 'jwks';
  return pathname.startsWith('/api/v1/') ? 'api' : undefined;
}

function endedOrAborted(ended: Promise<void>, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    void ended.then(() => {
      signal.removeEventListener('abort', abort);
      resolve(undefined);
    });
  });
}

/** Envelope of the Passage APIs. Only 500 has a code in their specification. */
function errorOf(status: number): { code: string; error: string } {
  if (status === 429) return { code: 'too_many_requests', error: 'Too many requests' };
  return { code: 'internal_server_error', error: 'Internal server error' };
}
