import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpException,
  Inject,
  Logger,
} from '@nestjs/common';
import { BaseExceptionFilter, HttpAdapterHost } from '@nestjs/core';
import { isPassageError, type PassageError } from '@passage-auth/core';
import { throwError } from 'rxjs';
import { typeOf } from './context.ts';

/** A Passage error as an `HttpException`, for Nest and its filters. The Passage error is its `cause`. */
export class PassageException extends HttpException {
  override readonly cause: PassageError;
  /** What GraphQL answers besides the message. */
  readonly extensions: { code: string; status: number };

  /** @internal */
  constructor(cause: PassageError) {
    super(cause.toJSON(), cause.status);
    this.cause = cause;
    this.message = cause.message;
    this.extensions = { code: cause.code, status: cause.status };
  }
}

const logger = new Logger('Passage');

/**
 * Returns the exception for a call's transport. Over HTTP it sets the headers itself, so that
 * they are kept whichever filter answers: Nest ignores headers of errors.
 *
 * @internal
 */
export async function toException(error: PassageError, host: ArgumentsHost, adapters: HttpAdapterHost) {
  report(error);
  const type = typeOf(host);
  if (type === 'http') setHeaders(error, host, adapters);
  try {
    // Global filters do not reach gateways, so the exception has to be theirs. Loaded only where the app has gateways.
    if (type === 'ws') return new (await import('@nestjs/websockets')).WsException(payloadOf(error));
    if (type === 'rpc') return new (await import('@nestjs/microservices')).RpcException(payloadOf(error));
  } catch {
    // An app without the package has no such calls. Inside `try`, bundlers accept that it is missing.
  }
  return new PassageException(error);
}

// Errors of any copy of this package count.
const AnyPassageError = Object.defineProperty(class {}, Symbol.hasInstance, { value: isPassageError });

/** Answers Passage errors that handlers throw, or calls of the client in them. @internal */
@Catch(AnyPassageError)
export class PassageFilter implements ExceptionFilter<PassageError> {
  readonly #adapters: HttpAdapterHost;

  constructor(@Inject(HttpAdapterHost) adapters: HttpAdapterHost) {
    this.#adapters = adapters;
  }

  catch(error: PassageError, host: ArgumentsHost): unknown {
    report(error);
    if (typeOf(host) === 'rpc') return throwError(() => payloadOf(error));
    const exception = new PassageException(error);
    // GraphQL treats a returned error like a thrown one.
    if (typeOf(host) !== 'http') return exception;
    setHeaders(error, host, this.#adapters);
    return new BaseExceptionFilter(this.#adapters.httpAdapter).catch(exception, host);
  }
}

/** The form in which Nest sends exceptions over sockets and between services. */
function payloadOf({ message, code }: PassageError) {
  return { status: 'error', message, code };
}

/** Logs outages with their cause; client errors (4xx) are not logged. */
export function report(error: unknown): void {
  if (!(error instanceof Error) || (isPassageError(error) && error.status < 500)) return;
  const { cause } = error;
  logger.error(
    error.message,
    cause instanceof Error ? `${error.stack}\nCaused by: ${cause.stack}` : error.stack,
  );
}

function setHeaders(
  error: PassageError,
  host: ArgumentsHost,
  { httpAdapter }: Partial<HttpAdapterHost>,
): void {
  const response = host.switchToHttp().getResponse();
  // A guard that the app created itself may have no adapter.
  if (!httpAdapter || httpAdapter.isHeadersSent(response)) return;
  for (const [name, value] of Object.entries(error.headers)) httpAdapter.setHeader(response, name, value);
}
