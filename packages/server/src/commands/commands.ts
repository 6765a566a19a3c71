import { appCommands } from './apps.ts';
import { auditCommands } from './audit.ts';
import type { Command } from './command.ts';
import { databaseCommands } from './database.ts';
import { deviceCommands } from './devices.ts';
import { doctorCommands } from './doctor.ts';
import { keyCommands } from './keys.ts';
import { mailCommands } from './mail.ts';
import { outboxCommands } from './outbox.ts';
import { startCommands } from './start.ts';
import { tokenCommands } from './token.ts';
import { transferCommands } from './transfer.ts';
import { userCommands } from './users.ts';
import { webhookCommands } from './webhooks.ts';

/** All commands, in the order of the help. */
export const commands: readonly Command[] = [
  ...startCommands,
  ...doctorCommands,
  ...appCommands,
  ...keyCommands,
  ...userCommands,
  ...transferCommands,
  ...deviceCommands,
  ...auditCommands,
  ...webhookCommands,
  ...tokenCommands,
  ...mailCommands,
  ...outboxCommands,
  ...databaseCommands,
];
