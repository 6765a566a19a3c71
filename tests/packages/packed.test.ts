/**
 * The packages as users get them: packed, and installed together into a project that has nothing else of this
 * repository. What runs there is in `project`. The packages must have been built.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const names = ['core', 'express', 'fastify', 'hono', 'nestjs', 'server', 'testing'];
const project = mkdtempSync(join(tmpdir(), 'passage-packed-'));
const execute = promisify(execFile);

// Limits for a stuck process, not for a slow machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** Runs a command in the project, and fails with all it wrote when it fails. */
async function run(command: string, args: string[], cwd = project): Promise<string> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const shell = process.platform === 'win32';
  try {
    const { stdout } = await execute(command, args, { cwd, env, shell, maxBuffer: 2 ** 25 });
    return stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(' ')}\n${stdout}\n${stderr}`, { cause: error });
  }
}

function node(...args: string[]): Promise<string> {
  return run(process.execPath, args);
}

function tarball(name: string): string {
  return join(project, `passage-auth-${name}.tgz`);
}

/** The path of a file of a package, as installed. */
function installed(name: string, file: string): string {
  return join(project, 'node_modules/@passage-auth', name, file);
}

beforeAll(async () => {
  cpSync(new URL('project', import.meta.url), project, { recursive: true });
  // The same file as an ES module, which TypeScript resolves differently.
  copyFileSync(join(project, 'usage.ts'), join(project, 'usage.mts'));
  const pack = ['--filter', './packages/*', '-r', 'pack', '--out', join(project, '%s.tgz')];
  await run(process.execPath, [join(root, 'scripts/pnpm.mjs'), ...pack], root);
  const quietly = ['--no-audit', '--no-fund', '--no-package-lock', '--loglevel', 'error'];
  await run('npm', ['install', '--prefer-offline', ...quietly]);
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

describe.each(names)('the tarball of %s', (name) => {
  it('has the built files, the README and the license only', () => {
    const files = readdirSync(installed(name, '.'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes(join(name, 'node_modules')))
      .map((entry) =>
        relative(installed(name, '.'), join(entry.parentPath, entry.name)).replaceAll('\\', '/'),
      );
    const builds = ['index.cjs', 'index.d.cts', 'index.d.mts', 'index.mjs'].map((file) => `dist/${file}`);
    const required = ['LICENSE', 'README.md', ...builds, 'package.json'];
    expect(files).toEqual(expect.arrayContaining(required));
    const others = files.filter((file) => !required.includes(file));
    // Parts of the server that are loaded only when used: chunks, whose names end with a hash.
    const parts = name === 'server' ? /^dist\/(cli\.(mjs|d\.mts)|[\w-]+-[\w-]{8}\.[cm]js)$/ : /^$/;
    const unexpected = others.filter((file) => !parts.test(file) && !/^dist\/licenses\.\w+\.txt$/.test(file));
    expect(unexpected).toEqual([]);
  });

  it('has the license of whatever was copied into it', () => {
    const texts = { cjs: /\.cjs$/, es: /\.mjs$/ };
    for (const [format, pattern] of Object.entries(texts)) {
      const files = readdirSync(installed(name, 'dist')).filter((file) => pattern.test(file));
      const copied = files.flatMap((file) => [
        ...readFileSync(installed(name, `dist/${file}`), 'utf8').matchAll(
          /#region .*node_modules\/([\w-]+)\//g,
        ),
      ]);
      const names = [...new Set(copied.map(([, one]) => one))].sort();
      const licenses =
        names.length > 0 ? readFileSync(installed(name, `dist/licenses.${format}.txt`), 'utf8') : '';
      expect(licenses.match(/^[\w-]+(?=\n\n)/gm) ?? [], format).toEqual(expect.arrayContaining(names));
    }
  });

  it('names no folder of the machine that built it', () => {
    const dist = installed(name, 'dist');
    const text = readdirSync(dist).map((file) => readFileSync(join(dist, file), 'utf8'));
    for (const folder of [root, join(homedir(), '/'), tmpdir(), 'file://']) {
      expect(text.filter((content) => content.includes(folder)).length, folder).toBe(0);
    }
  });

  it('depends on published versions', () => {
    const manifest = JSON.parse(readFileSync(installed(name, 'package.json'), 'utf8'));
    const ranges = Object.entries<string>({ ...manifest.dependencies, ...manifest.peerDependencies });
    expect(ranges.filter(([, range]) => !/^[\d^]/.test(range))).toEqual([]);
    expect(manifest).toMatchObject({ license: 'MIT', sideEffects: false, engines: { node: '>=20.19' } });
    expect(manifest.keywords).toContain('passage');
  });

  it('has jose in its CommonJS files, which Jest cannot require, and not in the others', () => {
    const [cjs = '', esm = ''] = ['dist/index.cjs', 'dist/index.mjs'].map((file) =>
      readFileSync(installed(name, file), 'utf8'),
    );
    expect(cjs).not.toMatch(/require\("jose/);
    expect(esm).not.toMatch(/region .*node_modules/);
  });

  it('is packed as publint says', async () => {
    const tar = readFileSync(tarball(name));
    const { messages, pkg } = await publint({
      pack: { tarball: tar.buffer.slice(tar.byteOffset, tar.byteOffset + tar.length) as ArrayBuffer },
      strict: true,
    });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  it('has the right types for every way of importing', async () => {
    await run(join(root, 'tests/node_modules/.bin/attw'), [tarball(name)]);
  });
});

it('imports jose where it can be imported', () => {
  expect(readFileSync(installed('core', 'dist/index.mjs'), 'utf8')).toMatch(/from "jose\b/);
});

describe('the packages, installed,', () => {
  it('work by import, under node:test', async () => {
    expect(await node('--test', 'import.test.mjs')).toMatch(/# pass 13\b/);
  });

  it('work by require, under node:test', async () => {
    expect(await node('--test', 'require.test.cjs')).toMatch(/# pass 5\b/);
  });

  it('work in Jest with ts-jest, as Nest 11 starts apps', async () => {
    await node('node_modules/jest/bin/jest.js', '--config', 'jest.cjs.json');
  });

  it('work in Jest with ES modules', async () => {
    const vm = '--experimental-vm-modules';
    await node(vm, 'node_modules/jest/bin/jest.js', '--config', 'jest.esm.json');
  });

  // TypeScript 6 takes three times as long as 7.
  it.each([
    ['typescript7', 'node16', 'node16', 'usage.ts'],
    ['typescript7', 'node16', 'node16', 'usage.mts'],
    ['typescript7', 'nodenext', 'nodenext', 'usage.ts'],
    ['typescript7', 'nodenext', 'nodenext', 'usage.mts'],
    ['typescript7', 'bundler', 'esnext', 'usage.ts'],
    // Both module kinds in one program, where the two declaration files of each package meet.
    ['typescript7', 'nodenext', 'nodenext', 'kinds.mts', 'kinds.cts'],
    ['typescript', 'nodenext', 'nodenext', 'kinds.mts', 'kinds.cts'],
  ])('have types that compile in %s with moduleResolution %s and module %s: %s', async (...args) => {
    const [compiler, moduleResolution, module, ...files] = args;
    const how = ['--moduleResolution', moduleResolution, '--module', module, '--target', 'es2023'];
    const strict = ['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false'];
    const nest = ['--experimentalDecorators', '--emitDecoratorMetadata', '--esModuleInterop'];
    const rest = ['--noEmit', '--types', 'node', '--ignoreConfig', ...files];
    await node(`node_modules/${compiler}/bin/tsc`, ...how, ...strict, ...nest, ...rest);
  });
});
