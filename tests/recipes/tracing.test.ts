import { readFileSync } from 'node:fs';
import { SpanStatusCode, trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { Passage } from '@passage-auth/core';
import { startPassage } from '@passage-auth/testing';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

const exporter = new InMemorySpanExporter();

beforeAll(async () => {
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
  await import('./tracing.ts');
});
beforeEach(() => exporter.reset());
// The subscriptions stay in this worker: without a provider their spans go nowhere.
afterAll(() => trace.disable());

/** Name, outcome and reason of each span since the last call. */
function spans() {
  const finished = exporter.getFinishedSpans().map(({ name, attributes, status }) => ({
    name,
    outcome: attributes['passage.outcome'],
    ...('error.type' in attributes && { reason: attributes['error.type'] }),
    ...(status.code === SpanStatusCode.ERROR && { failed: true }),
  }));
  exporter.reset();
  return finished;
}

it('is what docs/recipes.md shows', () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
  expect(read('../../docs/recipes.md')).toContain(`\`\`\`ts\n${read('./tracing.ts')}\`\`\``);
});

it('makes a span of each authentication, key fetch and API call', async () => {
  await using server = await startPassage();
  const passage = new Passage(server.options);
  const { headers } = await server.signIn('ada@example.com');
  exporter.reset();

  await passage.auth.authenticate(headers);
  expect(spans()).toEqual([
    { name: 'passage keys', outcome: 'fetched' },
    { name: 'passage api', outcome: 'succeeded' },
    { name: 'passage authenticate', outcome: 'authenticated' },
  ]);
  server.advance('16m');
  await expect(passage.auth.authenticate(headers)).rejects.toThrow();
  expect(spans()).toEqual([{ name: 'passage authenticate', outcome: 'refused', reason: 'expired' }]);
});

it('marks outages as errors', async () => {
  await using server = await startPassage();
  const passage = new Passage(server.options);
  const { headers } = await server.signIn('ada@example.com');
  exporter.reset();
  using _outage = server.fault('jwks', 'unreachable');
  await expect(passage.auth.authenticate(headers)).rejects.toThrow();
  expect(spans()).toEqual([
    { name: 'passage keys', outcome: 'failed', failed: true },
    { name: 'passage authenticate', outcome: 'unavailable', reason: 'ERR_PASSAGE_UNAVAILABLE', failed: true },
  ]);
});

it('has no token, address, user ID or API key in a span', async () => {
  await using server = await startPassage();
  const passage = new Passage(server.options);
  const { headers, token, userId } = await server.signIn('ada@example.com');
  exporter.reset();
  await passage.auth.authenticate(headers);
  await expect(passage.auth.authenticate({ authorization: `Bearer ${token}x` })).rejects.toThrow();
  await passage.user.getByIdentifier('ada@example.com');

  const recorded = exporter.getFinishedSpans();
  expect(recorded.length).toBeGreaterThan(3);
  const text = recorded
    .map(({ name, attributes, events, links, status }) =>
      JSON.stringify([name, attributes, events, links, status]),
    )
    .join('\n');
  for (const secret of [token, token.split('.')[2], userId, 'ada@', server.options.apiKey]) {
    expect(text).not.toContain(secret);
  }
  expect(text).toContain(server.options.appId);
});
