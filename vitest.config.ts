import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { hasBrowser } from './tests/browser/executable.ts';

const missingBrowser = {
  onTestRunEnd: () => console.log('The browser tests were not run: install Chrome, or set CHROMIUM_PATH'),
};

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    // Tests run the sources; the built packages are tested as packed tarballs.
    alias: [
      {
        find: /^@passage-auth\/([a-z]+)$/,
        replacement: pathOf('packages/$1/src/index.ts'),
      },
    ],
  },
  test: {
    testTimeout: 30_000,
    ...(!hasBrowser && { reporters: ['default', missingBrowser] }),
    globalSetup: 'tests/setup/postgres.ts',
    // Without it every style sheet is empty, also those of the pages that are tested in a browser.
    css: true,
    projects: [
      {
        extends: true,
        test: {
          name: 'main',
          include: ['packages/*/src/**/*.test.ts', 'examples/*/src/**/*.test.ts', 'tests/**/*.test.ts'],
          exclude: ['**/node_modules/**', ...(hasBrowser ? [] : ['tests/browser/**'])],
        },
      },
      {
        // The same tests with the other major version of Nest.
        extends: true,
        resolve: {
          alias: [{ find: /^@nestjs\//, replacement: pathOf('tests/nest11/node_modules/@nestjs/') }],
        },
        test: { name: 'Nest 11', include: ['packages/nestjs/src/**/*.test.ts'] },
      },
    ],
    coverage: {
      include: ['packages/*/src/**/*.ts'],
      reporter: ['text-summary'],
    },
  },
});
