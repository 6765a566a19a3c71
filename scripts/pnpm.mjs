/** Runs pnpm, which a fresh machine does not have, in the version of `config.pnpm` in package.json. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const { config } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const command = ['--yes', '-p', `pnpm@${config.pnpm}`, 'pnpm', ...process.argv.slice(2)];
// On Windows npx is a script, which only a shell runs.
const { status } = spawnSync('npx', command, { stdio: 'inherit', shell: process.platform === 'win32' });
process.exitCode = status ?? 1;
