import { start } from 'passage-example-start';

await start(async () => {
  const app = await (await import('./app.ts')).createApp();
  await app.ready();
  return app.routing;
});
