import { record } from '../events/record.ts';
import { itself, type Service } from '../service.ts';
import { requireApp } from './apps.ts';

const day = 86_400_000;

/** Rotates the signing keys that have reached the age in the option `signingKeyRotation`. Without it, does nothing. */
export async function rotateSigningKeys(service: Service, signal: AbortSignal): Promise<void> {
  const { signingKeyRotation: days } = service.options;
  if (days === undefined) return;
  for (const { appId } of await listOldKeys(service, days)) {
    if (signal.aborted) return;
    const { settings } = await requireApp(service, appId);
    const than = service.clock() - days * day;
    const lifetime = settings.sessionTimeoutLength * 60;
    await service.db.transaction().execute(async (trx) => {
      const made = await service.keys.rotateOlder(trx, appId, lifetime, than);
      if (!made) return;
      const details = { key: made.id, immediately: false };
      await record(service, trx, { type: 'signing_key.rotated', appId, client: itself, details });
    });
    service.keys.forget(appId);
  }
}

/** Lists the apps whose newest signing key is at least so many days old. */
export async function listOldKeys({ db, clock }: Service, days: number) {
  const now = clock();
  const rows = await db
    .selectFrom('signing_keys')
    .select(['app_id', 'created_at'])
    .where('retires_at', 'is', null)
    .where('created_at', '<=', now - days * day)
    .orderBy('created_at')
    .execute();
  return rows.map(({ app_id, created_at }) => ({
    appId: app_id,
    age: Math.floor((now - created_at) / day),
  }));
}
