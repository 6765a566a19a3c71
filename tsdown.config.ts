import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { defineConfig, type UserConfig } from 'tsdown';

// Vite's `?raw`, which the tests get from Vite itself: a file as text, so that the package reads no files at run time.
const raw: UserConfig['plugins'] = {
  name: 'raw',
  resolveId(source, importer) {
    return source.endsWith('?raw') && importer ? resolve(dirname(importer), source) : undefined;
  },
  load(id) {
    if (!id.endsWith('?raw')) return undefined;
    const text = readFileSync(id.slice(0, -'?raw'.length), 'utf8');
    return { code: `export default ${JSON.stringify(text)}`, moduleType: 'js' };
  },
};

// How long each plugin took is of no use to who builds.
const checks = { pluginTimings: false };

export default defineConfig([
  {
    workspace: ['packages/*'],
    entry: 'src/{index,cli}.ts',
    format: 'esm',
    dts: true,
    checks,
    plugins: raw,
  },
  {
    workspace: ['packages/*'],
    entry: 'src/index.ts',
    format: 'cjs',
    dts: true,
    checks,
    plugins: raw,
    clean: false,
    outputOptions: { exports: 'named' },
    // jose has no CommonJS build, and Jest cannot `require` ES modules: the CommonJS files carry their own copy.
    deps: { alwaysBundle: [/^jose(\/|$)/], onlyBundle: false },
  },
  {
    workspace: { include: ['examples/*'], exclude: ['**/node_modules/**', 'examples/start'] },
    entry: 'src/main.ts',
    format: 'esm',
    dts: false,
    checks,
    fixedExtension: false,
    plugins: raw,
    deps: { onlyBundle: false },
  },
]);
