import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { makeSchema, postgres } from '../../test/databases.ts';
import { built, run } from '../../test/process.ts';
import { secret } from '../../test/server.ts';

const root = mkdtempSync(join(tmpdir(), 'passage-driver-'));
afterAll(() => rmSync(root, { recursive: true }));
const own = fileURLToPath(new URL('../../', import.meta.url));

/** Installs the server without a package. */
function installWithout(missing: string): string {
  const folder = mkdtempSync(join(root, 'without-'));
  cpSync(join(own, 'dist'), join(folder, 'dist'), { recursive: true });
  const modules = join(own, 'node_modules');
  for (const name of readdirSync(modules)) {
    if (name.startsWith('.') || name === missing) continue;
    mkdirSync(join(folder, 'node_modules'), { recursive: true });
    symlinkSync(realpathSync(join(modules, name)), join(folder, 'node_modules', name), 'junction');
  }
  return folder;
}

async function createApp(folder: string, database: string) {
  const variables = {
    PASSAGE_SECRET: secret,
    PASSAGE_BASE_URL: 'http://localhost:3000',
    DATABASE_URL: database,
    LOG_LEVEL: 'silent',
  };
  // Makes the SQLite file that is not there.
  const command = run(['create-app'], variables, folder, { file: join(folder, 'dist', 'cli.mjs') });
  return { code: await command.ended, output: command.output() };
}

describe.skipIf(!built)('A platform without a driver (needs a build)', () => {
  it('runs with PostgreSQL where libsql is missing, and says so for SQLite', async () => {
    const folder = installWithout('libsql');
    const database = await makeSchema(postgres());
    expect((await createApp(folder, database.location)).code).toBe(0);
    await database.drop();
    expect(await createApp(folder, 'passage.db')).toEqual({
      code: 1,
      output:
        'passage-server: SQLite needs the package libsql, which is not installed: install it on this platform\n',
    });
  });

  it('names the binary where that alone is missing', async () => {
    const folder = installWithout('libsql');
    const libsql = join(folder, 'node_modules', 'libsql');
    cpSync(realpathSync(join(own, 'node_modules', 'libsql')), libsql, { recursive: true });
    // What libsql needs besides its binary.
    const beside = join(realpathSync(join(own, 'node_modules', 'libsql')), '..');
    for (const name of ['@neon-rs', 'detect-libc'])
      symlinkSync(realpathSync(join(beside, name)), join(folder, 'node_modules', name), 'junction');
    const { code, output } = await createApp(folder, 'passage.db');
    expect(output).toMatch(
      /^passage-server: SQLite needs the package @libsql\/[\w-]+, which is not installed: .*\n$/,
    );
    expect(code).toBe(1);
  });

  it('runs with SQLite where pg is missing, and says so for PostgreSQL', async () => {
    const folder = installWithout('pg');
    expect((await createApp(folder, 'passage.db')).code).toBe(0);
    expect(await createApp(folder, 'postgres://localhost/passage')).toEqual({
      code: 1,
      output:
        'passage-server: PostgreSQL needs the package pg, which is not installed: install it on this platform\n',
    });
  });
});
