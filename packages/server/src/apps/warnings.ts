import { isIP } from 'node:net';
import type { App, Service } from '../service.ts';
import { findSettingFaults, readSettings } from './settings.ts';

/** Warns of what the operator should change, at start. */
export async function warnOfApps(service: Service): Promise<void> {
  const rows = await service.db.selectFrom('apps').select(['id', 'settings']).orderBy('id').execute();
  for (const { id, settings } of rows) {
    warnOfAddress(service, { id, settings: readSettings(settings) });
    for (const { name, rule } of findSettingFaults(settings)) {
      service.options.logger.warn(
        { app: id, setting: name, event: 'setting.not_valid' },
        `A setting that an older version stored is not valid any more: "${name}" ${rule}. It stays as it is until it is changed`,
      );
    }
  }
}

/** Warns of addresses on which browsers make no passkeys: an RP ID must be a domain. WebAuthn §5.1.3, step 7. */
export function warnOfAddress({ options }: Service, { id, settings }: Pick<App, 'id' | 'settings'>): void {
  const { authOrigin } = settings;
  const { hostname } = new URL(authOrigin);
  if (!isIP(hostname.replace(/^\[|\]$/g, ''))) return;
  options.logger.warn(
    { app: id, authOrigin },
    'Passkeys are impossible with this "authOrigin", because its host is an IP address; codes and links work. Use a host name, or localhost on this machine',
  );
}
