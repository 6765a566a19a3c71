import { record } from '../events/record.ts';
import { itself, type Service } from '../service.ts';
import { readEmail } from './identifiers.ts';

const mark = 'email addresses';
const batch = 500;

/**
 * Rewrites email addresses that older versions stored in the current form, once. An address stays if another user
 * has it in that form, or if it is no longer valid. It is then logged at every start with the ID of its user, so that
 * the operator can decide.
 */
export async function rewriteAddresses(service: Service): Promise<void> {
  const { db } = service;
  const done = await db.selectFrom('meta').select('name').where('name', '=', mark).executeTakeFirst();
  if (done) return;
  let left = 0;
  for (let last = { app_id: '', id: '' }; ; ) {
    const rows = await db
      .selectFrom('users')
      .select(['app_id', 'id', 'email'])
      .where(({ or, and, eb }) =>
        or([eb('app_id', '>', last.app_id), and([eb('app_id', '=', last.app_id), eb('id', '>', last.id)])]),
      )
      .orderBy('app_id')
      .orderBy('id')
      .limit(batch)
      .execute();
    for (const row of rows) if (row.email !== null && !(await rewrite(service, row, row.email))) left += 1;
    const next = rows.at(-1);
    if (!next) break;
    last = next;
  }
  if (left > 0) return;
  await db
    .insertInto('meta')
    .values({ name: mark, value: 'rewritten' })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** @returns False for an address that stays. */
async function rewrite(
  service: Service,
  { app_id: app, id: user }: { app_id: string; id: string },
  stored: string,
): Promise<boolean> {
  const email = readEmail(stored);
  if (email === stored) return true;
  const fields = { app, user, event: 'email.not_rewritten' };
  if (email === undefined) {
    service.options.logger.warn(
      fields,
      'The email address of a user is no longer valid: change it with the Management API or passage-server users update',
    );
    return false;
  }
  return service.db.transaction().execute(async (trx) => {
    const other = await trx
      .selectFrom('users')
      .select('id')
      .where('app_id', '=', app)
      .where('email', '=', email)
      .executeTakeFirst();
    if (other) {
      service.options.logger.warn(
        { ...fields, other: other.id },
        'Two users have the same email address, written in two ways: change or delete one of them with the Management API',
      );
      return false;
    }
    const rewritten = await trx
      .updateTable('users')
      .set({ email })
      .where('app_id', '=', app)
      .where('id', '=', user)
      .where('email', '=', stored)
      .returning('id')
      .executeTakeFirst();
    if (rewritten) {
      await record(service, trx, {
        type: 'email.rewritten',
        appId: app,
        userId: user,
        client: itself,
        addresses: [email],
      });
    }
    return true;
  });
}
