import type { z } from 'zod';
import { requireApp } from '../apps/apps.ts';
import { AppNotFoundError, WireError } from '../errors.ts';
import type { device, listedUser, magicLink, passageUser } from '../http/schemas.ts';
import { managementRoutes } from '../management/management.ts';
import type { App, Service } from '../service.ts';
import { readEmail, readPhone } from '../users/identifiers.ts';
import { findUser, findUserByIdentifier } from '../users/users.ts';

export type ShownUser = z.output<typeof passageUser>;
export type ListedUser = z.output<typeof listedUser>;
export type ShownDevice = z.output<typeof device>;
export type ShownLink = z.output<typeof magicLink>;

interface Given {
  params?: Record<string, string>;
  body?: object;
  query?: object;
}

/** An app as its operator manages it: the Management API without an API key. */
export class ManagedApp {
  readonly service: Service;
  readonly app: App;

  constructor(service: Service, app: App) {
    this.service = service;
    this.app = app;
  }

  /** @param id Empty for the only app. */
  static async find(service: Service, id: string): Promise<ManagedApp> {
    return new ManagedApp(service, await requireOwn(service, id || (await findOnly(service))));
  }

  /**
   * Calls a route of the Management API below the app.
   *
   * @throws WireError when the route refuses
   */
  async call<Answer = undefined>(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    { params = {}, body, query }: Given = {},
  ): Promise<Answer> {
    const route = managementRoutes.find((one) => one.method === method && one.path === path);
    if (!route) throw new Error(`No route ${method} ${path}`);
    const { service, app } = this;
    const answer = await route.handle({
      service,
      app,
      client: service.operator,
      params,
      body: route.body && read(route.body, body ?? {}),
      query: route.query && read(route.query, query ?? {}),
      caller: undefined,
    });
    return answer as Answer;
  }

  /** Finds the ID of a user by the ID itself, an email address or a phone number. */
  async userId(text: string): Promise<string> {
    const { db } = this.service;
    const email = text.includes('@') ? readEmail(text) : undefined;
    const phone = readPhone(text);
    const address = email
      ? ({ channel: 'email', value: email } as const)
      : phone && ({ channel: 'phone', value: phone } as const);
    const user = address
      ? await findUserByIdentifier(db, this.app.id, address)
      : await findUser(db, this.app.id, text);
    if (!user) throw new Error('No user of the app has this ID, email address or phone number');
    return user.id;
  }
}

async function requireOwn(service: Service, id: string): Promise<App> {
  return requireApp(service, id).catch((error: unknown) => {
    throw error instanceof WireError && error.code === 'app_not_found' ? new AppNotFoundError() : error;
  });
}

async function findOnly({ db }: Service): Promise<string> {
  const [only, another] = await db.selectFrom('apps').select('id').limit(2).execute();
  if (!only) throw new Error('There is no app: create one with passage-server apps create');
  if (another)
    throw new Error('There are several apps: give the app ID first (see passage-server apps list)');
  return only.id;
}

function read(schema: z.ZodType, value: object): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new TypeError(`"${issue?.path.join('.')}" is invalid: ${issue?.message}`);
}
