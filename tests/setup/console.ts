import { format } from 'node:util';
import { afterAll, afterEach } from 'vitest';

/** What was printed since the last test. A test that expects output replaces the method with `vi.spyOn`. */
const printed: string[] = [];

for (const method of ['debug', 'error', 'info', 'log', 'warn'] as const) {
  console[method] = (...values: unknown[]) => void printed.push(`console.${method}: ${format(...values)}`);
}
for (const name of ['stdout', 'stderr'] as const) {
  // Libraries of the browser write nothing, too.
  process[name].write = (text) => String(text).trim() === '' || printed.push(`process.${name}: ${text}`) > 0;
}

function refuseOutput(): void {
  const lines = printed.splice(0);
  if (lines.length > 0) throw new Error(`Unexpected output: expect it, or stop it\n${lines.join('\n')}`);
}

afterEach(refuseOutput);
afterAll(refuseOutput);
