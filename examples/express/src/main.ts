import { start } from 'passage-example-start';

await start(async () => (await import('./app.ts')).createApp());
