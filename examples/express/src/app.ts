import {
  Passage,
  type PassageOptions,
  passageAuth,
  passageErrors,
  withPrincipal,
} from '@passage-auth/express';
import express, { Router } from 'express';
import { frontPage } from './page.ts';

/** @param options Those left out are read from the environment. */
export function createApp(options: PassageOptions = {}) {
  const passage = new Passage(options);
  const claimsOnly = passageAuth({ passage, loadUser: false });
  const app = express();

  app.get('/', frontPage);

  const me = withPrincipal((req, res) => {
    const { userId, user } = req.passage;
    res.json({ userId, user });
  });
  app.get('/me', passageAuth({ passage, loadUser: true }), me);

  const userId = withPrincipal((req, res) => {
    res.json({ userId: req.passage.userId });
  });
  app.get('/protected', claimsOnly, userId);

  app.get('/anyone', passageAuth({ passage, optional: true }), (req, res) => {
    res.json({ userId: req.passage?.userId ?? null });
  });

  const invite = withPrincipal(async (req, res) => {
    const email: unknown = req.body?.email;
    if (typeof email !== 'string' || !/^[^@\s]+@[^@\s]+$/.test(email)) {
      res.status(400).json({ code: 'invalid_request', error: '"email" must be an email address' });
      return;
    }
    await passage.auth.createMagicLink({ email, type: 'login', send: true });
    res.status(201).json({ email });
  });
  app.post('/invite', passageAuth({ passage }), express.json(), invite);

  const child = Router();
  child.use(claimsOnly);
  child.get('/protected', userId);
  app.use('/child', child);

  return app.use(passageErrors());
}
