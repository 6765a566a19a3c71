import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

let cache = '';
const file = () => join(cache, 'passage-auth', 'testing-key.json');

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'passage-cache-'));
  vi.stubEnv('XDG_CACHE_HOME', cache);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

/** The key ID that a new process signs with. */
async function keyId(): Promise<string> {
  vi.resetModules();
  const { startPassage } = await import('./index.ts');
  await using passage = await startPassage();
  const { token } = await passage.signIn('ada@example.com');
  return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;
}

describe('the signing key', () => {
  it('is kept for the next process', async () => {
    const first = await keyId();
    expect(await keyId()).toBe(first);
    expect(await readdir(join(cache, 'passage-auth'))).toEqual(['testing-key.json']);
  });

  it.skipIf(process.platform === 'win32')('is kept for its user alone', async () => {
    await keyId();
    const modes = await Promise.all([file(), join(cache, 'passage-auth')].map((path) => stat(path)));
    expect(modes.map(({ mode }) => (mode & 0o777).toString(8))).toEqual(['600', '700']);
  });

  it.skipIf(process.platform === 'win32')('is made anew where others could read the kept one', async () => {
    const first = await keyId();
    await chmod(file(), 0o640);
    const second = await keyId();
    expect(second).not.toBe(first);
    expect(await keyId()).toBe(second);
  });

  it.each(['', '{}', '{"kid":"a","pem":"b"}'])('is made anew where the file holds %j', async (text) => {
    await mkdir(join(cache, 'passage-auth'));
    await writeFile(file(), text, { mode: 0o600 });
    const made = await keyId();
    expect(await readFile(file(), 'utf8')).toContain(made);
  });

  it('is made anew where its ID is not one of the kit', async () => {
    const made = await keyId();
    const kept = await readFile(file(), 'utf8');
    await writeFile(file(), kept.replace(made, 'theirs'));
    expect(await keyId()).toMatch(/^[0-9a-f]{24}$/);
  });

  it('is made for the process where nothing can be kept', async () => {
    vi.stubEnv('XDG_CACHE_HOME', join(cache, 'file'));
    await writeFile(join(cache, 'file'), '');
    expect(await keyId()).not.toBe(await keyId());
  });
});
