import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { TestSpecification } from 'vitest/node';
import { hasBrowser } from './tests/browser/executable.ts';

// Without it npx takes another version of Vitest, which does not find what the tests import.
if (!existsSync(new URL('node_modules/vitest', import.meta.url)))
  throw new Error('The dependencies are not installed: run "npm run setup" first');
const [{ defineConfig }, { BaseSequencer }] = await Promise.all([
  import('vitest/config'),
  import('vitest/node'),
]);

const missingBrowser = {
  onTestRunEnd: () => console.log('The browser tests were not run: install Chrome, or set CHROMIUM_PATH'),
};

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Starts with the longest: beside it, all the others run. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLongest = ({ moduleId }: TestSpecification) => moduleId.endsWith('/packed.test.ts');
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))];
  }
}

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
    setupFiles: pathOf('tests/setup/console.ts'),
    // Each file would load the frameworks and the server again, which takes longer than most tests.
    isolate: false,
    // Many tests wait for a process or a browser: one worker more than there are cores keeps these busy.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: LongestFirst },
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
      exclude: ['**/*.fixture.ts'],
      reporter: ['text-summary'],
      thresholds: {
        'packages/{core,express,fastify,hono,nestjs}/src/**': { lines: 100, statements: 100 },
        'packages/testing/src/**': { lines: 98, statements: 98 },
        // A little less than complete runs reach, since which paths of a race are taken differs: raise it, never lower it.
        'packages/server/src/**': { lines: 95, statements: 93 },
      },
    },
  },
});
