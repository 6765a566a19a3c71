/**
 * The Nest adapter in an app that has neither gateways nor microservices, as bundlers see it: the packages of those are
 * not installed. The packages must have been built.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import webpack from 'webpack';

// Limits for a stuck process, not for a slow machine.
vi.setConfig({ testTimeout: 300_000 });

const folder = mkdtempSync(join(tmpdir(), 'passage-bundles-'));
const packages = fileURLToPath(new URL('../../packages', import.meta.url));
/** What every Nest app has; how Nest itself is bundled is Nest's matter. */
const nest = ['@nestjs/common', '@nestjs/core', 'rxjs', 'reflect-metadata'];
const source = "PassageModule.forRoot({ global: true }); console.log(typeof PassageGuard.for('other'));";
const entries = {
  'app.cjs': `const { PassageModule, PassageGuard } = require('@passage-auth/nestjs');\n${source}`,
  'app.mjs': `import { PassageModule, PassageGuard } from '@passage-auth/nestjs';\n${source}`,
};

beforeAll(() => {
  const modules = join(folder, 'node_modules/@passage-auth');
  for (const name of ['core', 'nestjs']) {
    mkdirSync(join(modules, name), { recursive: true });
    for (const file of ['package.json', 'dist']) {
      cpSync(join(packages, name, file), join(modules, name, file), { recursive: true });
    }
  }
  for (const name of ['jose', 'ofetch', 'destr', 'ufo', 'node-fetch-native']) {
    const require = createRequire(join(packages, 'core/package.json'));
    const from = name === 'jose' || name === 'ofetch' ? require : createRequire(require.resolve('ofetch'));
    const path = from.resolve(name).split(`/node_modules/${name}/`)[0];
    cpSync(`${path}/node_modules/${name}`, join(folder, 'node_modules', name), { recursive: true });
  }
  for (const [name, text] of Object.entries(entries)) writeFileSync(join(folder, name), text);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const names = Object.keys(entries);

it.each(names)('is bundled by esbuild: %s', async (name) => {
  const { errors, outputFiles } = await build({
    entryPoints: [join(folder, name)],
    bundle: true,
    platform: 'node',
    external: nest,
    write: false,
    logLevel: 'silent',
  });
  expect(errors).toEqual([]);
  expect(outputFiles[0]?.text).toContain('ERR_PASSAGE_UNAUTHENTICATED');
});

// What ncc wraps.
it.each(names)('is bundled by webpack: %s', async (name) => {
  const stats = await new Promise<webpack.Stats | undefined>((resolve, reject) => {
    const options = { mode: 'development' as const, target: 'node', context: folder, entry: `./${name}` };
    webpack(
      {
        ...options,
        externalsType: 'node-commonjs',
        externals: nest,
        output: { path: join(folder, 'webpack') },
      },
      (error, result) => (error ? reject(error) : resolve(result)),
    );
  });
  expect(stats?.compilation.errors.map(({ message }) => message)).toEqual([]);
});
