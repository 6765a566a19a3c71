import type { Passage, PassageUserSummary, Principal } from '@passage-auth/express';

export const roles = ['member', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Returns what a user may do. Everybody is a member until an admin changes that. */
export function roleOf({ userMetadata }: PassageUserSummary): Role {
  return userMetadata?.role === 'admin' ? 'admin' : 'member';
}

/** For `authorize`: lets admins pass. */
export const isAdmin = ({ user }: Principal): boolean => roleOf(user) === 'admin';

/** Throws if users of the app could give a role to themselves, or if it has no field for roles. */
export async function requireClosedRole(passage: Passage): Promise<void> {
  const { userMetadataSchema } = await passage.app();
  const field = userMetadataSchema.find(({ fieldName }) => fieldName === 'role');
  if (!field) throw new Error('The app has no metadata field "role": add it, closed to users');
  if (field.registration || field.profile) {
    throw new Error('Users can write the metadata field "role": close it to registration and profile');
  }
}

/** Makes the owner of an address an admin. Until their first login, every start of the app sends them a login link. */
export async function seedAdmin(passage: Passage, email: string): Promise<void> {
  const userMetadata = { role: 'admin' };
  const { users } = await passage.user.listPage({ identifier: email, limit: 1 });
  const user = users[0] ?? (await passage.user.create({ email, userMetadata }));
  if (user.status === 'pending') {
    await passage.auth.createMagicLink({ email, type: 'login', send: true });
  } else if (!user.emailVerified) {
    // Anybody can register a passkey for an address that is not theirs.
    throw new Error(`The user with the email ${email} has not proven it: delete that user, then start again`);
  }
  await passage.user.update(user.id, { userMetadata });
}
