import { defineConfig } from 'tsdown';

export default defineConfig([
  {
    workspace: ['packages/*'],
    entry: 'src/{index,cli}.ts',
    format: 'esm',
    dts: true,
  },
  {
    workspace: ['packages/*'],
    entry: 'src/index.ts',
    format: 'cjs',
    dts: true,
    clean: false,
    // jose has no CommonJS build, and Jest cannot `require` ES modules: the CommonJS files carry their own copy.
    deps: { alwaysBundle: [/^jose(\/|$)/], onlyBundle: false },
  },
  {
    workspace: { include: ['examples/*'], exclude: ['**/node_modules/**', 'examples/start'] },
    entry: 'src/main.ts',
    format: 'esm',
    dts: false,
    fixedExtension: false,
    deps: { onlyBundle: false },
  },
]);
