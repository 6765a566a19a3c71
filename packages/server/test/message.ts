import type { Message } from '../src/delivery/delivery.ts';

/** A message with a code that no other text contains, so that a leak is seen. */
export const message: Message = {
  appId: 'app1',
  appName: 'Acme',
  channel: 'email',
  to: 'ada@example.com',
  kind: 'otp',
  language: 'en',
  code: '739154',
  expiresAt: new Date('2026-01-01T00:05:00Z'),
  subject: 'Your code for Acme',
  text: 'Enter this code: 739154',
  html: '<p>739154</p>',
};
