import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // Tests run the sources; the built packages are tested as packed tarballs.
    alias: [
      {
        find: /^@passage-auth\/([a-z]+)$/,
        replacement: fileURLToPath(new URL('packages/$1/src/index.ts', import.meta.url)),
      },
    ],
  },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'examples/*/src/**/*.test.ts', 'tests/**/*.test.ts'],
    testTimeout: 30_000,
    coverage: {
      include: ['packages/*/src/**/*.ts'],
      reporter: ['text-summary'],
    },
  },
});
