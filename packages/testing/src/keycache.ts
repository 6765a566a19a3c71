import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { lstat, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** An RSA key that signs tokens. */
export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/**
 * Reads the key that an earlier process of this user made, or makes one and keeps it. It signs tokens of servers in memory
 * only: no other server ever reads the file. If it cannot be stored, each process makes its own.
 */
export async function keepKey(make: () => Promise<SigningKey>): Promise<SigningKey> {
  const kept = await read().catch(() => undefined);
  if (kept) return kept;
  const key = await make();
  await write(key).catch(() => undefined);
  return key;
}

/** @throws Error where the user has no home, as in some containers */
function locate(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'passage-auth', 'testing-key.json');
}

async function read(): Promise<SigningKey | undefined> {
  const file = locate();
  const { mode, uid } = await lstat(file);
  // A file that others can read or write is not trusted. Windows has no such modes.
  if (process.getuid && (uid !== process.getuid() || (mode & 0o170_077) !== 0o100_000)) return undefined;
  const { kid, pem } = JSON.parse(await readFile(file, 'utf8'));
  const privateKey = createPrivateKey(pem);
  return isRsa(privateKey) && /^[0-9a-f]{24}$/.test(kid)
    ? { kid, privateKey, publicKey: createPublicKey(privateKey) }
    : undefined;
}

function isRsa(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'rsa' && key.asymmetricKeyDetails?.modulusLength === 2048;
}

async function write({ kid, privateKey }: SigningKey): Promise<void> {
  const file = locate();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  // Test runners start many processes at once: none may read half a key.
  const draft = `${file}.${process.pid}`;
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  await writeFile(draft, JSON.stringify({ kid, pem }), { mode: 0o600, flag: 'wx' });
  await rename(draft, file);
}
