import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createPassageServer } from '@passage-auth/server';

/** What the embedded server must find again at its next start. */
interface Keys {
  secret: string;
  appId: string;
  apiKey: string;
}

const folder = '.passage';

/**
 * Starts a Passage server of the example's own and points the environment to it.
 *
 * Its users and passkeys are kept in `.passage/`, so that they survive a restart.
 *
 * @returns The listener that answers what is below `/passage`
 */
export async function startEmbedded(port: number): Promise<RequestListener> {
  const { secret, appId, apiKey } = readKeys();
  const origin = `http://localhost:${port}`;
  const baseUrl = `${origin}/passage`;
  const server = await createPassageServer({
    baseUrl,
    secret,
    database: `${folder}/passage.db`,
    app: { id: appId, apiKey, name: 'Example', authOrigin: origin },
  });
  // The app was made at the first start, perhaps for another port.
  await server.apps.update(appId, { authOrigin: origin });
  Object.assign(process.env, { PASSAGE_BASE_URL: baseUrl, PASSAGE_APP_ID: appId, PASSAGE_API_KEY: apiKey });
  console.log(`No PASSAGE_BASE_URL is set: Passage runs in this process, its data is in ${folder}/`);
  return server.handler;
}

function readKeys(): Keys {
  const file = `${folder}/keys.json`;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new Error(`Cannot read ${file}: restore it, or remove ${folder}/ to start anew`, { cause });
    }
  }
  const keys: Keys = {
    secret: randomBytes(32).toString('base64'),
    appId: randomBytes(12).toString('hex'),
    apiKey: `${randomBytes(5).toString('hex')}.${randomBytes(32).toString('hex')}`,
  };
  writeFileSync(file, JSON.stringify(keys, null, 2), { mode: 0o600, flag: 'wx' });
  return keys;
}
