import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AppSettings, createPassageServer, type PassageServer } from '@passage-auth/server';

/** What the embedded server must find again at its next start. */
interface Keys {
  secret: string;
  appId: string;
  apiKey: string;
}

const folder = '.passage';

/**
 * Starts a Passage server of the example's own below `/passage`, and points the environment to it.
 *
 * Its users and passkeys are kept in `.passage/`, so that they survive a restart.
 */
export async function startEmbedded(port: number, settings: AppSettings): Promise<PassageServer> {
  const { secret, appId, apiKey } = readKeys();
  const origin = `http://localhost:${port}`;
  const baseUrl = `${origin}/passage`;
  const server = await createPassageServer({
    baseUrl,
    secret,
    database: `${folder}/passage.db`,
    app: { id: appId, apiKey, name: 'Example', authOrigin: origin, ...settings },
  });
  // The app was made at the first start, perhaps for another port.
  await server.apps.update(appId, { authOrigin: origin, ...settings });
  Object.assign(process.env, { PASSAGE_BASE_URL: baseUrl, PASSAGE_APP_ID: appId, PASSAGE_API_KEY: apiKey });
  console.log(`No PASSAGE_BASE_URL is set: Passage runs in this process. Its data is in ${folder}/,`);
  console.log('and the codes and links that it would send to users are printed here.');
  return server;
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
