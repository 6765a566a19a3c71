#!/usr/bin/env node
// A static import would let the bundler put code of the package into this file, and importing that code would run the command.
void import('./commands/run.ts').then(({ main }) => main(process.argv.slice(2)));
