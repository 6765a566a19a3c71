import { channel } from 'node:diagnostics_channel';
import type { EventName } from './types.ts';

/** Message of the channel `passage-server:request`: a request of the Auth API or the Management API. */
export interface ServerRequestEvent {
  readonly appId: string;
  readonly method: string;
  /** Path of the route with the names of its parameters. */
  readonly route: string;
  readonly status: number;
  /** In milliseconds. */
  readonly duration: number;
}

/** Message of the channel `passage-server:event`: an event that the server logs. */
export interface ServerEvent {
  /** Absent for events of the whole server. */
  readonly appId: string | undefined;
  readonly type: EventName;
}

const requests = channel('passage-server:request');
const events = channel('passage-server:event');

export function publishRequest(event: ServerRequestEvent): void {
  requests.publish(event);
}

export function publishEvent(event: ServerEvent): void {
  events.publish(event);
}
