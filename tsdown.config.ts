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

// `#private` ties a class to one declaration file, and each package has two: a program with .mts and .cts files could not
// pass a `Passage` or `Principal` from one to the other, nor load an adapter that adds `passage` to requests in both.
const structural: UserConfig['plugins'] = {
  name: 'structural',
  generateBundle(_options, bundle) {
    for (const file of Object.values(bundle)) {
      if (file.type === 'chunk' && /\.d\.[cm]ts$/.test(file.fileName)) {
        file.code = file.code.replace(/^\s+#private;\n/gm, '');
      }
    }
  },
};

// Bundlers accept that a package is missing if its `require` stands directly in `try`, and not in a function there.
const required: UserConfig['plugins'] = {
  name: 'required',
  renderChunk: (code) =>
    code.replaceAll(
      /await \(Promise\.resolve\(\)\.then\(\(\) => .*?(require\("@nestjs\/\w+"\)).*?\)\)\)/g,
      '$1',
    ),
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
    // Not among `plugins`, which tsdown leaves out where it makes the declarations of CommonJS.
    outputOptions: { plugins: structural },
  },
  {
    workspace: ['packages/*'],
    entry: 'src/index.ts',
    format: 'cjs',
    dts: true,
    checks,
    plugins: [raw, required],
    clean: false,
    // Jest cannot load what CommonJS imports dynamically.
    outputOptions: { exports: 'named', dynamicImportInCjs: false, plugins: structural },
    // jose has no CommonJS build, and Jest cannot `require` ES modules: the CommonJS files carry their own copy.
    deps: { alwaysBundle: [/^jose(\/|$)/], onlyBundle: false },
  },
  {
    workspace: { include: ['examples/*'], exclude: ['**/node_modules/**', 'examples/{deploy,start}'] },
    entry: 'src/main.ts',
    format: 'esm',
    dts: false,
    checks,
    fixedExtension: false,
    plugins: raw,
    deps: { onlyBundle: false },
  },
]);
