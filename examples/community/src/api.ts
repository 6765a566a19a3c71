import {
  ApiError,
  type Passage,
  type PassageUserSummary,
  passageAuth,
  passageErrors,
  withPrincipal,
} from '@passage-auth/express';
import express, { type Response, Router } from 'express';
import { isAdmin, roleOf, roles } from './roles.ts';

interface Notice {
  id: number;
  author: string;
  text: string;
  postedAt: Date;
}

/** Returns the API of the board. Every route needs a user, and some need an admin. */
export function createApi(passage: Passage): Router {
  const notices: Notice[] = [];
  let lastId = 0;
  const adminOnly = passageAuth({ passage, authorize: isAdmin });
  const api = Router();
  api.use(passageAuth({ passage }), express.json());

  const me = withPrincipal((req, res) => {
    res.json(toMember(req.passage.user));
  });
  api.get('/me', me);

  api.get('/notices', (_req, res) => {
    res.json({ notices: notices.toReversed() });
  });

  const post = withPrincipal((req, res) => {
    const text: unknown = req.body?.text;
    if (typeof text !== 'string' || !text.trim() || text.length > 500) {
      return refuse(res, 400, '"text" must have 1 to 500 characters');
    }
    lastId += 1;
    const notice = { id: lastId, author: req.passage.user.email, text: text.trim(), postedAt: new Date() };
    notices.push(notice);
    return res.status(201).json(notice);
  });
  api.post('/notices', post);

  api.delete('/notices/:id', adminOnly, (req, res) => {
    const index = notices.findIndex(({ id }) => String(id) === req.params.id);
    if (index >= 0) notices.splice(index, 1);
    res.sendStatus(index >= 0 ? 204 : 404);
  });

  api.get('/members', adminOnly, async (_req, res) => {
    const { users } = await passage.user.listPage({ status: 'active', limit: 100 });
    res.json({ members: users.map(toMember) });
  });

  const changeRole = withPrincipal(async (req, res) => {
    const { role } = req.body ?? {};
    if (!roles.includes(role)) {
      return refuse(res, 400, '"role" must be member or admin');
    }
    // Otherwise the last admin could leave the board without one.
    if (req.params.id === req.passage.userId) {
      return refuse(res, 409, 'Only another admin can change your role');
    }
    // Only this process holds the API key, and only the API key can write the role.
    try {
      const user = await passage.user.update(String(req.params.id), { userMetadata: { role } });
      return res.json(toMember(user));
    } catch (error) {
      if (error instanceof ApiError && error.apiStatus === 404) return refuse(res, 404, 'No such member');
      throw error;
    }
  });
  api.put('/members/:id/role', adminOnly, changeRole);

  return api.use(passageErrors());
}

const toMember = (user: PassageUserSummary) => ({ id: user.id, email: user.email, role: roleOf(user) });

/** Answers in the form of Passage errors, so that the page shows all refusals in one way. */
const refuse = (res: Response, status: number, error: string) =>
  res.status(status).json({ code: 'invalid_request', error });
