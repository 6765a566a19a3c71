/**
 * Runs the smoke test of the packed core on Node 20, 22 and 24, Deno, Bun and workerd, all of them from npm. About half
 * a gigabyte is downloaded, so it is no part of `npm test`: `npm run test:runtimes`.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hour } from './hour.mjs';

const core = fileURLToPath(new URL('../../packages/core', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'passage-runtimes-'));

function run(command, ...args) {
  execFileSync(command, args, {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, DENO_DIR: folder },
  });
}

function installed(name, path) {
  return join(folder, 'node_modules', name, path);
}

async function prepare() {
  for (const name of ['smoke.mjs', 'hour.worker.mjs']) {
    copyFileSync(new URL(name, import.meta.url), join(folder, name));
  }
  writeFileSync(join(folder, 'main.mjs'), "import { smoke } from './smoke.mjs';\nawait smoke();\n");
  writeFileSync(
    join(folder, 'worker.mjs'),
    "import { smoke } from './smoke.mjs';\nexport default { test: () => smoke() };\n",
  );
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  const pnpm = fileURLToPath(new URL('../../scripts/pnpm.mjs', import.meta.url));
  execFileSync(process.execPath, [pnpm, 'pack', '--out', join(folder, 'core.tgz')], {
    cwd: core,
    stdio: 'ignore',
  });
  const runtimes = ['node22@npm:node@22', 'node24@npm:node@24', 'deno@2', 'bun@1', 'workerd@1', 'esbuild'];
  run('npm', 'install', '--no-audit', '--no-fund', '--loglevel', 'error', './core.tgz', ...runtimes);
}

/** Bundles as a host of Workers does; an import of `node:` ends it, since a browser has none. */
function bundleWorkers() {
  const conditions = '--conditions=workerd,worker,browser';
  const options = ['--bundle', '--format=esm', '--platform=browser', conditions, '--log-level=error'];
  run(installed('.bin', 'esbuild'), 'worker.mjs', ...options, '--outfile=worker.bundle.mjs');
  run(installed('.bin', 'esbuild'), 'hour.worker.mjs', ...options, '--outfile=hour.bundle.mjs');
  writeFileSync(
    join(folder, 'worker.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = (
  modules = [(name = "worker", esModule = embed "worker.bundle.mjs")],
  compatibilityDate = "2026-01-01",
))]);
`,
  );
  writeFileSync(
    join(folder, 'hour.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "worker", esModule = embed "hour.bundle.mjs")],
      compatibilityDate = "2026-01-01",
    )),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`,
  );
}

const runtimes = {
  'Node 20': () => run(process.execPath, 'main.mjs'),
  'Node 22': () => run(installed('node22', 'bin/node'), 'main.mjs'),
  'Node 24': () => run(installed('node24', 'bin/node'), 'main.mjs'),
  Deno: () => run(installed('.bin', 'deno'), 'run', '--node-modules-dir=manual', '--allow-env', 'main.mjs'),
  Bun: () => run(installed('.bin', 'bun'), 'main.mjs'),
  workerd: () => run(installed('.bin', 'workerd'), 'test', 'worker.capnp'),
};

try {
  await prepare();
  bundleWorkers();
  for (const [name, start] of Object.entries(runtimes)) {
    start();
    console.log(`${name}: verified, refused, authenticated`);
  }
  await hour(installed('.bin', 'workerd'), join(folder, 'hour.capnp'));
  console.log('workerd: an hour with rotated keys and requests that left');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
