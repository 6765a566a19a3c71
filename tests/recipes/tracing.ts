import { subscribe } from 'node:diagnostics_channel';
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { ApiEvent, AuthenticateEvent, KeysEvent } from '@passage-auth/core';

const tracer = trace.getTracer('passage-auth');

for (const name of ['authenticate', 'keys', 'api']) {
  subscribe(`passage-auth:${name}`, (message) => {
    const event = message as AuthenticateEvent | KeysEvent | ApiEvent;
    const end = Date.now();
    const span = tracer.startSpan(`passage ${name}`, {
      // The other two are requests to the Passage server.
      kind: name === 'authenticate' ? SpanKind.INTERNAL : SpanKind.CLIENT,
      startTime: end - event.duration,
      attributes: { 'passage.app_id': event.appId, 'passage.outcome': event.outcome },
    });
    if ('method' in event) span.setAttribute('http.request.method', event.method);
    if ('reason' in event && event.reason) span.setAttribute('error.type', event.reason);
    // A refused caller is no error of the app.
    if (['failed', 'unavailable'].includes(event.outcome)) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(end);
  });
}
