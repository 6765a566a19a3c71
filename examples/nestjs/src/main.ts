import 'reflect-metadata';
import { start } from 'passage-example-start';

await start(async () => {
  const [{ NestFactory }, { AppModule }] = await Promise.all([import('@nestjs/core'), import('./app.ts')]);
  const app = await NestFactory.create(AppModule, { logger: ['warn', 'error'], abortOnError: false });
  await app.init();
  return app.getHttpAdapter().getInstance();
});
