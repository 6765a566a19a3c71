import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import { expect, it } from 'vitest';

/** Bundles core with all it depends on, as an app on an edge runtime does. */
async function bundle(): Promise<string> {
  const input = fileURLToPath(new URL('../../packages/core/src/index.ts', import.meta.url));
  const { output } = (await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      target: 'es2023',
      minify: true,
      rolldownOptions: { input, preserveEntrySignatures: 'strict' },
    },
  })) as Rolldown.RolldownOutput;
  expect(output).toHaveLength(1);
  return output[0].code;
}

// Measured by taking each away: ofetch 3.0 kB, jose's verification of signatures for runtimes without node:crypto 2.4, the
// explanation of refused tokens 0.4, events 0.2, the check of the settings 0.2.
it('core is at most 18 kB with its dependencies, minified and compressed by Brotli', async () => {
  const code = await bundle();
  // What is measured is the whole: nothing is left to be imported.
  expect(code).not.toMatch(/\bfrom\s*"/);
  expect(code).toContain('WWW-Authenticate');
  const size = brotliCompressSync(code).length;
  expect(size, `core is ${size} bytes with its dependencies`).toBeLessThanOrEqual(18_000);
});
