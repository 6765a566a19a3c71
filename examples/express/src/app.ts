import { Passage, passageAuth, passageErrors, withPrincipal } from '@passage-auth/express';
import express, { Router } from 'express';
import { page } from './page.ts';

const passage = new Passage(); // PASSAGE_BASE_URL, PASSAGE_APP_ID, PASSAGE_API_KEY
const claimsOnly = passageAuth({ passage, loadUser: false });

export const app = express();

app.get('/', (_req, res) => {
  res.type('html').send(page);
});

app.get(
  '/me',
  passageAuth({ passage, loadUser: true }),
  withPrincipal((req, res) => {
    const { userId, user } = req.passage;
    res.json({ userId, user });
  }),
);

app.get(
  '/protected',
  claimsOnly,
  withPrincipal((req, res) => {
    res.json({ userId: req.passage.userId });
  }),
);

app.get('/anyone', passageAuth({ passage, optional: true }), (req, res) => {
  res.json({ userId: req.passage?.userId ?? null });
});

app.post('/invite', passageAuth({ passage }), express.json(), async (req, res) => {
  const email: unknown = req.body?.email;
  if (typeof email !== 'string' || !/^[^@\s]+@[^@\s]+$/.test(email)) {
    res.status(400).json({ code: 'invalid_request', error: '"email" must be an e-mail address' });
    return;
  }
  await passage.auth.createMagicLink({ email, type: 'login', send: true });
  res.status(201).json({ email });
});

const child = Router();
child.use(claimsOnly);
child.get(
  '/protected',
  withPrincipal((req, res) => {
    res.json({ userId: req.passage.userId });
  }),
);
app.use('/child', child);

app.use(passageErrors());
