#!/usr/bin/env node
import { UsageError } from './commands/command.ts';
import { runCommand } from './commands/run.ts';

runCommand(process.argv.slice(2)).catch((error: NodeJS.ErrnoException) => {
  const usage = error instanceof UsageError;
  const text = error.message || error.code || 'failed';
  console.error(`passage-server: ${usage ? text : text.replaceAll(/\s*\n\s*/g, ' ')}`);
  process.exit(usage ? 2 : 1);
});
