import { passageAuth, requirePrincipal } from '@passage-auth/express';
import express from 'express';

export const app = express();
app.use(passageAuth());
app.get('/me', (req, res) => res.json(requirePrincipal(req).user));
