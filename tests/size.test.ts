import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import { describe, expect, it } from 'vitest';

const entry = fileURLToPath(new URL('../packages/core/dist/index.mjs', import.meta.url));

describe.skipIf(!existsSync(entry))('core (needs a build)', () => {
  // Edge hosts load it at every cold start.
  it('is at most 12 kB with all it depends on, minified and compressed by brotli', async () => {
    const [bundle] = (await build({
      configFile: false,
      logLevel: 'error',
      // As a script, because Vite leaves the white space in modules.
      build: { write: false, lib: { entry, formats: ['iife'], name: 'core' } },
    })) as [Rolldown.RolldownOutput];
    const [{ code }, ...others] = bundle.output;
    expect(others).toEqual([]);
    expect(code).toContain('ERR_PASSAGE_UNAVAILABLE');
    expect(brotliCompressSync(code).length).toBeLessThanOrEqual(12_000);
  });
});
