import { fileURLToPath } from 'node:url';
import { Passage } from '@passage-auth/express';
import type { AppSettings } from '@passage-auth/server';
import { start } from 'passage-example-start';
import { createApp } from './app.ts';
import { requireClosedRole, seedAdmin } from './roles.ts';

/** Settings of the embedded server's app. On your own server, make them with `passage-server apps update`. */
const app: AppSettings = {
  name: 'Community board',
  allowedIdentifier: 'email',
  loginUrl: '/login',
  allowedLinkPaths: ['/login', '/profile'],
  // The background of the page's card.
  elementCustomizationDark: { passage_container_background_color: '#1c1d20' },
  // Closed to users: only the Management API writes it.
  userMetadataSchema: [{ fieldName: 'role', type: 'string' }],
};

await start(async ({ embedded }) => {
  const passage = new Passage();
  await requireClosedRole(passage);
  const admin = process.env.ADMIN_EMAIL || (embedded && 'admin@example.com');
  if (admin) await seedAdmin(passage, admin);
  const { PASSAGE_BASE_URL: baseUrl = '', PASSAGE_APP_ID: appId = '' } = process.env;
  return createApp(passage, { baseUrl, appId }, fileURLToPath(new URL('client/', import.meta.url)));
}, app);
