import type { IncomingMessage } from 'node:http';
import type { ArgumentsHost, ContextType } from '@nestjs/common';
import type { Principal, RequestHeaders } from '@passage-auth/core';

/** What the guard and the decorators see of a call, whatever its transport. */
export type Carrier = { passage?: Principal | undefined };

/** An Express or Fastify request, or the context of a GraphQL subscription. */
interface Call extends Carrier {
  method?: string;
  headers?: RequestHeaders;
  rawHeaders?: string[];
  raw?: IncomingMessage;
  extra?: { request?: Call };
  connectionParams?: Values;
}

interface Client extends Carrier {
  /** The request that opened the connection: Socket.IO keeps it; over `ws` the gateway has to. */
  request?: Call;
  /** Socket.IO's place for credentials: browsers cannot set headers here. */
  handshake?: { auth: Values };
}

interface RpcContext extends Carrier {
  /** gRPC metadata. */
  getMap?(): Values;
  /** NATS. */
  getHeaders?(): Values;
  /** Kafka and RabbitMQ. */
  getMessage?(): { headers?: Values; properties?: { headers?: Values } };
}

type Values = Record<string, unknown>;

/** `getType()`, with the name that `@nestjs/graphql` adds. */
export function typeOf(host: ArgumentsHost): ContextType | 'graphql' {
  return host.getType<ContextType | 'graphql'>();
}

/** Returns the object that lives as long as the call, or the connection, and carries its principal. */
export function carrierOf(host: ArgumentsHost): Carrier {
  switch (typeOf(host)) {
    case 'graphql':
      return graphQLCallOf(host);
    case 'ws':
      return host.switchToWs().getClient<Carrier>();
    case 'rpc':
      return host.switchToRpc().getContext<Carrier>();
    default:
      return host.switchToHttp().getRequest<Carrier>();
  }
}

/** Returns the HTTP method, for calls whose method says what they do. */
export function methodOf(host: ArgumentsHost): string | undefined {
  if (typeOf(host) === 'http') return host.switchToHttp().getRequest<Call>().method;
  // What comes over a socket may change something, although the socket was opened by GET.
  const { method, extra } = typeOf(host) === 'graphql' ? graphQLCallOf(host) : {};
  return extra ? undefined : method;
}

/** Returns the headers that may carry credentials. */
export function headersOf(host: ArgumentsHost): RequestHeaders {
  switch (typeOf(host)) {
    case 'graphql':
      return authorizationOf(graphQLCallOf(host).connectionParams) ?? requestOf(host)?.headers ?? {};
    case 'ws': {
      const token = host.switchToWs().getClient<Client>().handshake?.auth.token;
      return typeof token === 'string'
        ? { authorization: `Bearer ${token}` }
        : (requestOf(host)?.headers ?? {});
    }
    case 'rpc':
      return headersOfRpc(host);
    default:
      return requestOf(host)?.headers ?? {};
  }
}

/** Returns all headers of the request as they came. */
export function rawHeadersOf(host: ArgumentsHost): readonly string[] | undefined {
  const request = requestOf(host);
  return (request?.raw ?? request)?.rawHeaders;
}

/** Returns the request of the call, or the one that opened its socket. */
function requestOf(host: ArgumentsHost): Call | undefined {
  switch (typeOf(host)) {
    case 'graphql': {
      const call = graphQLCallOf(host);
      return call.extra?.request ?? call;
    }
    case 'ws':
      return host.switchToWs().getClient<Client>().request;
    case 'rpc':
      return undefined;
    default:
      return host.switchToHttp().getRequest<Call>();
  }
}

function graphQLCallOf(host: ArgumentsHost): Call {
  // Arguments of a resolver: parent, arguments, context, info. The drivers of Nest put the request into the context.
  const context = host.getArgByIndex<{ req?: Call } & Call>(2);
  return context.req ?? context;
}

function headersOfRpc(host: ArgumentsHost): RequestHeaders {
  const rpc = host.switchToRpc();
  const call = rpc.getContext<RpcContext>();
  const message = call.getMessage?.();
  const values = call.getMap?.() ?? call.getHeaders?.() ?? message?.properties?.headers ?? message?.headers;
  // TCP and Redis have no headers but those in the message itself.
  const { headers } = rpc.getData<{ headers?: Values } | undefined>() ?? {};
  return authorizationOf(values ?? headers) ?? {};
}

/** Takes what is called `authorization` from values of any shape: strings, buffers, lists of them. */
function authorizationOf(values: Values | undefined): RequestHeaders | undefined {
  const found = typeof values?.get === 'function' ? values.get('authorization') : values?.authorization;
  const value = found ?? values?.Authorization;
  return value === undefined ? undefined : { authorization: [value].flat().map(textOf) };
}

// Messages may hold anything, and not everything can be made a string.
function textOf(value: unknown): string {
  return typeof value === 'string' || value instanceof Uint8Array ? value.toString() : '';
}
