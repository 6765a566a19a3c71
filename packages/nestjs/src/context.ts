import type { IncomingMessage } from 'node:http';
import type { ArgumentsHost, ContextType } from '@nestjs/common';
import type { AuthenticateOptions, Principal, RequestHeaders } from '@passage-auth/core';

/** What the guard and the decorators see of a call, whatever its transport. */
export type Carrier = { passage?: Principal | undefined };

/** An Express or Fastify request, or the context of a GraphQL subscription. */
export interface Call extends Carrier {
  method?: string;
  headers?: RequestHeaders;
  rawHeaders?: string[];
  raw?: IncomingMessage;
  extra?: { request?: Call };
  connectionParams?: Values;
}

export interface Client extends Carrier {
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

/** A call of any transport, in the form that the client authenticates. */
export interface Incoming extends Pick<AuthenticateOptions, 'method' | 'rawHeaders'> {
  /** The object that lives as long as the call, or the connection, and carries its principal. */
  carrier: Carrier;
  /** The headers that may carry credentials. */
  headers: RequestHeaders;
}

/** The object that carries the principal of a call. */
export function carrierOf(host: ArgumentsHost): Carrier {
  switch (typeOf(host)) {
    case 'graphql':
      return graphQLCallOf(host);
    case 'ws':
      return host.switchToWs().getClient<Client>();
    case 'rpc':
      return host.switchToRpc().getContext<Carrier>();
    default:
      return host.switchToHttp().getRequest<Call>();
  }
}

/** Reads what is known of a call. */
export function readCall(host: ArgumentsHost): Incoming {
  switch (typeOf(host)) {
    case 'graphql': {
      const call = graphQLCallOf(host);
      const { connectionParams, extra, method } = call;
      const request = readRequest(extra?.request ?? call);
      const headers = authorizationOf(connectionParams) ?? request.headers;
      // Messages over a socket may change state, although a GET opened it.
      return { ...request, carrier: call, headers, method: extra ? undefined : method };
    }
    case 'ws':
      return readClient(host.switchToWs().getClient<Client>());
    case 'rpc':
      return { carrier: host.switchToRpc().getContext<Carrier>(), headers: headersOfRpc(host) };
    default: {
      const request = host.switchToHttp().getRequest<Call>();
      const { headers, rawHeaders } = readRequest(request);
      return { carrier: request, headers, rawHeaders, method: request.method };
    }
  }
}

/** Reads what is known of the connection of a Socket.IO or `ws` client. */
export function readClient(client: Client): Incoming {
  const request = readRequest(client.request);
  const token = client.handshake?.auth.token;
  const headers = typeof token === 'string' ? { authorization: `Bearer ${token}` } : request.headers;
  return { ...request, carrier: client, headers };
}

function readRequest({ headers = {}, rawHeaders, raw }: Call = {}): Pick<Incoming, 'headers' | 'rawHeaders'> {
  return { headers, rawHeaders: raw ? raw.rawHeaders : rawHeaders };
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

/** Reads `authorization` from values of any shape: strings, buffers, lists of them. */
function authorizationOf(values: Values | undefined): RequestHeaders | undefined {
  const found = typeof values?.get === 'function' ? values.get('authorization') : values?.authorization;
  const value = found ?? values?.Authorization;
  return value === undefined ? undefined : { authorization: [value].flat().map(textOf) };
}

// Messages may contain anything, and not every value can be converted to a string.
function textOf(value: unknown): string {
  return typeof value === 'string' || value instanceof Uint8Array ? value.toString() : '';
}
