/** Installs the dependencies, unless they are installed as the lock file has them. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stamp = join(root, 'node_modules/.setup');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== state()) {
  console.log('Installing the dependencies (npm run setup)');
  const pnpm = fileURLToPath(new URL('pnpm.mjs', import.meta.url));
  const install = [pnpm, 'install', '--frozen-lockfile'];
  const { status } = spawnSync(process.execPath, install, { cwd: root, stdio: 'inherit' });
  if (status === 0) writeFileSync(stamp, state());
  else process.exitCode = status ?? 1;
}

/** What decides on the installation, and when pnpm last changed it. */
function state() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  const files = ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', ...manifests()];
  for (const file of files) hash.update(readFileSync(join(root, file)));
  const installed = join(root, 'node_modules/.modules.yaml');
  return `${hash.digest('hex')} ${existsSync(installed) ? statSync(installed).mtimeMs : 'nothing'}`;
}

function manifests() {
  const folders = ['packages', 'examples'].flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => join(folder, name)),
  );
  return [...folders, 'bench', 'tests', 'tests/nest11']
    .map((folder) => join(folder, 'package.json'))
    .filter((file) => existsSync(join(root, file)));
}
