/**
 * A worker that answers as `/me` of an app does, by the clock of its caller. `?leave` answers before the work is done,
 * which on Workers ends the work.
 */
import { isPassageError, Passage } from '@passage-auth/core';

let now = 0;
let passage;

export default {
  async fetch(request) {
    const url = new URL(request.url);
    if (url.pathname === '/ready') return new Response('ready');
    now = Number(url.searchParams.get('now'));
    passage ??= new Passage({
      appId: 'app1',
      apiKey: 'key',
      baseUrl: url.searchParams.get('issuer'),
      timeout: 1000,
      clock: () => now,
    });
    const work = passage.auth.authenticate(request.headers);
    if (url.searchParams.has('leave')) {
      work.catch(() => {});
      return new Response('left');
    }
    try {
      const { user } = await work;
      return Response.json({ email: user.email });
    } catch (error) {
      if (isPassageError(error)) return error.getResponse();
      throw error;
    }
  },
};
