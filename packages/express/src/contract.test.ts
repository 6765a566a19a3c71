import express from 'express';
// @ts-expect-error Types of the alias would be those of Express 4, which the app below is not written for.
import express4 from 'express4';
import { type StartApp, testAdapter } from '../../../tests/contract/contract.ts';
import { listen } from '../../../tests/contract/listen.ts';
import { passageAuth, passageErrors, requirePrincipal, withPrincipal } from './index.ts';

const startWith =
  (create: typeof express): StartApp =>
  ({ options, reached }) => {
    const app = create();
    const me = withPrincipal((req, res) => {
      res.json({ userId: req.passage.userId, email: req.passage.user.email });
    });
    const protect = passageAuth(options);
    const count: express.RequestHandler = (_req, _res, next) => {
      reached();
      next();
    };
    app.get('/anyone', passageAuth({ ...options, optional: true }), (req, res) => {
      res.json({ userId: req.passage?.userId ?? null });
    });
    app.get('/forgotten', (req, res) => {
      res.json({ userId: requirePrincipal(req).userId });
    });
    app.use(protect);
    app.get('/me', count, me);
    app.post('/me', count, me);
    app.all('/any-method', count, (req, res) => {
      res.json({ userId: req.passage?.userId });
    });
    app.all('/answers-preflights', (_req, res) => {
      res.json({});
    });
    app.use(passageErrors());
    return listen(app);
  };

testAdapter('Express 5', startWith(express));
testAdapter('Express 4', startWith(express4));
