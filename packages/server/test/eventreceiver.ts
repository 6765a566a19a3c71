import express from 'express';
import { Webhook } from 'standardwebhooks';

export function receiveEvents(secret: string, forget: (userId: string) => Promise<void>) {
  const webhook = new Webhook(secret);
  return express.Router().post('/', express.text({ type: 'application/json' }), async (req, res) => {
    try {
      webhook.verify(req.body, req.headers as Record<string, string>);
    } catch {
      return void res.sendStatus(401);
    }
    const { type, data } = JSON.parse(req.body);
    if (type === 'user.deleted') await forget(data.user_id);
    res.sendStatus(204);
  });
}
