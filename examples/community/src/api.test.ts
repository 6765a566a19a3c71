import { Passage } from '@passage-auth/express';
import { startPassage, type TestPassage } from '@passage-auth/testing';
import express from 'express';
import supertest from 'supertest';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApi } from './api.ts';
import { requireClosedRole, seedAdmin } from './roles.ts';

const role = { fieldName: 'role', type: 'string' } as const;

let passage: TestPassage;
let board: ReturnType<typeof supertest>;

beforeEach(async () => {
  passage = await startPassage({ app: { userMetadataSchema: [role] } });
  board = supertest(express().use('/api', createApi(new Passage(passage.options))));
});

afterEach(() => passage.close());

async function signInAdmin() {
  await seedAdmin(passage.admin, 'admin@example.com');
  return passage.signIn('admin@example.com');
}

it('lets members read and post, and nobody else', async () => {
  const { headers } = await passage.signIn('ada@example.com');
  await board.post('/api/notices').set(headers).send({ text: ' Tea at four ' }).expect(201);
  await board.post('/api/notices').set(headers).send({ text: ' ' }).expect(400);
  const { body } = await board.get('/api/notices').set(headers).expect(200);
  expect(body.notices).toMatchObject([{ author: 'ada@example.com', text: 'Tea at four' }]);
  await board.get('/api/notices').expect(401);
  for (const { headers, status } of await passage.badTokens()) {
    await board.get('/api/notices').set(headers).expect(status);
  }
});

it.each([
  ['delete', '/api/notices/1'],
  ['get', '/api/members'],
  ['put', '/api/members/someone/role'],
] as const)('refuses a member and lets an admin pass: %s %s', async (method, path) => {
  const member = await passage.signIn('ada@example.com');
  const admin = await signInAdmin();
  await board.post('/api/notices').set(member.headers).send({ text: 'Tea at four' }).expect(201);
  const { body } = await board[method](path).set(member.headers).send({ role: 'admin' }).expect(403);
  expect(body.code).toBe('ERR_PASSAGE_FORBIDDEN');
  const url = path.replace('someone', member.userId);
  const { status } = await board[method](url).set(admin.headers).send({ role: 'admin' });
  expect(status).toBe(method === 'delete' ? 204 : 200);
});

it('changes roles at once, but not the own one', async () => {
  const member = await passage.signIn('ada@example.com');
  const admin = await signInAdmin();
  await board.get('/api/members').set(member.headers).expect(403);
  const change = (id: string, role: unknown) =>
    board.put(`/api/members/${id}/role`).set(admin.headers).send({ role });
  await change(member.userId, 'owner').expect(400);
  await change('unknown', 'admin').expect(404);
  await change(member.userId, 'admin').expect(200, { ...toMember(member, 'ada'), role: 'admin' });
  const { body } = await board.get('/api/members').set(member.headers).expect(200);
  expect(body.members).toContainEqual(toMember(admin, 'admin', 'admin'));
  await change(admin.userId, 'member').expect(409);
});

const toMember = ({ userId }: { userId: string }, name: string, role = 'member') => ({
  id: userId,
  email: `${name}@example.com`,
  role,
});

it('makes nobody an admin who registered the address and has not proven it', async () => {
  const stranger = passage.authenticator();
  await stranger.register('admin@example.com');
  await expect(seedAdmin(passage.admin, 'admin@example.com')).rejects.toThrow('has not proven it');
  const { headers } = await stranger.signIn('admin@example.com');
  await board.get('/api/members').set(headers).expect(403);

  await passage.signIn('admin@example.com');
  await seedAdmin(passage.admin, 'admin@example.com');
  // The board remembers the user for 30 seconds.
  passage.advance('1m');
  const owner = await passage.signIn('admin@example.com');
  await board.get('/api/members').set(owner.headers).expect(200);
});

it('sends the admin a link until the first login', async () => {
  await seedAdmin(passage.admin, 'admin@example.com');
  await seedAdmin(passage.admin, 'admin@example.com');
  expect(passage.outbox.map(({ to, kind }) => [to, kind])).toEqual(
    Array(2).fill(['admin@example.com', 'magic_link']),
  );
  await passage.signIn('admin@example.com');
  const sent = passage.outbox.length;
  await seedAdmin(passage.admin, 'admin@example.com');
  expect(passage.outbox).toHaveLength(sent);
});

describe('requireClosedRole', () => {
  it.each([
    ['has no metadata field "role"', []],
    ['close it', [{ ...role, profile: true }]],
    ['close it', [{ ...role, registration: true }]],
  ])('refuses an app whose users could write it: %s', async (message, userMetadataSchema) => {
    await using open = await startPassage({ app: { userMetadataSchema } });
    await expect(requireClosedRole(new Passage(open.options))).rejects.toThrow(message);
    await expect(requireClosedRole(passage.admin)).resolves.toBeUndefined();
  });
});
