import type { Service } from '../service.ts';

/** What may be an attack. `docs/security.md` has the table. */
const texts = {
  'refresh_token.reused': 'Refresh token was used again: its session was ended',
  'code.exhausted': 'The last try of a code was wrong',
  'limit.reached': 'A limit is reached: more is refused',
  'api_key.wrong': 'A wrong API key was sent',
} as const;

interface Suspect {
  app: string;
  /** Absent where no user is known. */
  user?: string | null | undefined;
  ip: string | undefined;
  /** Limit that is reached. */
  limit?: string;
}

/** Warns of what may be an attack, and counts it. */
export function warn(service: Service, event: keyof typeof texts, { app, user, ip, limit }: Suspect): void {
  service.metrics.events.inc({ type: event });
  service.options.logger.warn(
    { app, ...(user && { user }), event, ip, ...(limit && { limit }) },
    texts[event],
  );
}
