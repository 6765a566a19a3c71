import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
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

// Loading the many small files of these took a third of a server's start. Declarations go on importing zod.
const inline = (id: string, importer = '') =>
  /\/packages\/server\/src\/.*(?<!\.d)\.ts$/.test(importer.replaceAll('\\', '/')) &&
  /^(?:hono|kysely|zod)(?:\/|$)/.test(id);

// What their licenses ask of those who pass copies on.
const licenses: UserConfig['plugins'] = {
  name: 'licenses',
  generateBundle(options, bundle) {
    const modules = Object.values(bundle).flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
    const folders = modules.map(
      (id) => /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(id)?.[0] ?? '',
    );
    const texts = [...new Set(folders)]
      .filter(Boolean)
      .sort()
      .map((folder) => {
        const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
        if (!file) throw new Error(`${folder} has no license to copy`);
        return `${basename(folder)}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
      });
    if (texts.length > 0)
      this.emitFile({
        type: 'asset',
        fileName: `licenses.${options.format}.txt`,
        source: texts.join('\n\n'),
      });
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
    plugins: [raw, licenses],
    deps: { alwaysBundle: inline, onlyBundle: false },
    // Not among `plugins`, which tsdown leaves out where it makes the declarations of CommonJS.
    outputOptions: { plugins: structural },
  },
  {
    workspace: ['packages/*'],
    entry: 'src/index.ts',
    format: 'cjs',
    dts: true,
    checks,
    plugins: [raw, required, licenses],
    clean: false,
    // Jest cannot load what CommonJS imports dynamically.
    outputOptions: { exports: 'named', dynamicImportInCjs: false, plugins: structural },
    // jose has no CommonJS build, and Jest cannot `require` ES modules: the CommonJS files carry their own copy.
    deps: {
      alwaysBundle: (id, importer) => /^jose(\/|$)/.test(id) || inline(id, importer),
      onlyBundle: false,
    },
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
