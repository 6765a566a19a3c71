#!/usr/bin/env node
// Loaded by itself: a part that the package shares with this file would run the command wherever it is imported.
void import('./commands/run.ts').then(({ main }) => main(process.argv.slice(2)));
