import { isIP } from 'node:net';
import type { App, Service } from '../service.ts';
import { findSettingFaults, readSettings } from './settings.ts';

/** Logs warnings at startup about settings that the operator should change. */
export async function warnOfApps(service: Service): Promise<void> {
  const rows = await service.db.selectFrom('apps').select(['id', 'settings']).orderBy('id').execute();
  for (const { id, settings } of rows) {
    warnOfAddress(service, { id, settings: readSettings(settings) });
    for (const { name, rule } of findSettingFaults(settings)) {
      service.options.logger.warn(
        { app: id, setting: name, event: 'setting.not_valid' },
        `A setting stored by an older version is no longer valid: "${name}" ${rule}. It keeps its value until you change it`,
      );
    }
  }
}

/** Warns about an `authOrigin` where browsers cannot create passkeys: an RP ID must be a domain. WebAuthn §5.1.3, step 7. */
export function warnOfAddress({ options }: Service, { id, settings }: Pick<App, 'id' | 'settings'>): void {
  const { authOrigin } = settings;
  const { hostname } = new URL(authOrigin);
  if (!isIP(hostname.replace(/^\[|\]$/g, ''))) return;
  options.logger.warn(
    { app: id, authOrigin },
    'Passkeys do not work with this "authOrigin", because its host is an IP address: use a host name, or localhost on this machine. Codes and links work',
  );
}
