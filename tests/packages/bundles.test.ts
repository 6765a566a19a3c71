/**
 * The Nest adapter in an app that has neither gateways nor microservices, as bundlers see it: the packages of those are
 * not installed. And the Express adapter. The packages must have been built.
 */
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPassage } from '@passage-auth/testing';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import webpack from 'webpack';

// Limits for a stuck process, not for a slow machine.
vi.setConfig({ testTimeout: 300_000 });

const folder = mkdtempSync(join(tmpdir(), 'passage-bundles-'));
const packages = fileURLToPath(new URL('../../packages', import.meta.url));
/** What every Nest app has; how Nest itself is bundled is Nest's matter. */
const nest = ['@nestjs/common', '@nestjs/core', 'rxjs', 'reflect-metadata'];
const source = "PassageModule.forRoot({ global: true }); console.log(typeof PassageGuard.for('other'));";
const entries = {
  'app.cjs': `const { PassageModule, PassageGuard } = require('@passage-auth/nestjs');\n${source}`,
  'app.mjs': `import { PassageModule, PassageGuard } from '@passage-auth/nestjs';\n${source}`,
};

beforeAll(() => {
  const modules = join(folder, 'node_modules/@passage-auth');
  for (const name of ['core', 'express', 'nestjs']) {
    mkdirSync(join(modules, name), { recursive: true });
    for (const file of ['package.json', 'dist']) {
      cpSync(join(packages, name, file), join(modules, name, file), { recursive: true });
    }
  }
  for (const name of ['jose', 'ofetch', 'destr', 'ufo', 'node-fetch-native']) {
    const require = createRequire(join(packages, 'core/package.json'));
    const from = name === 'jose' || name === 'ofetch' ? require : createRequire(require.resolve('ofetch'));
    const path = from.resolve(name).split(`/node_modules/${name}/`)[0];
    cpSync(`${path}/node_modules/${name}`, join(folder, 'node_modules', name), { recursive: true });
  }
  // With all that they need; of Nest, what an app over HTTP installs.
  mkdirSync(join(folder, 'node_modules/@nestjs'));
  for (const name of [...nest, '@nestjs/platform-express', 'express']) {
    const owner = name === 'express' ? 'express' : 'nestjs';
    symlinkSync(join(packages, owner, 'node_modules', name), join(folder, 'node_modules', name), 'junction');
  }
  for (const [name, text] of Object.entries(entries)) writeFileSync(join(folder, name), text);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const names = Object.keys(entries);

it.each(names)('is bundled by esbuild: %s', async (name) => {
  const { errors, outputFiles } = await build({
    entryPoints: [join(folder, name)],
    bundle: true,
    platform: 'node',
    external: nest,
    write: false,
    logLevel: 'silent',
  });
  expect(errors).toEqual([]);
  expect(outputFiles[0]?.text).toContain('ERR_PASSAGE_UNAUTHENTICATED');
});

// What ncc wraps.
it.each(names)('is bundled by webpack: %s', async (name) => {
  const stats = await new Promise<webpack.Stats | undefined>((resolve, reject) => {
    const options = { mode: 'development' as const, target: 'node', context: folder, entry: `./${name}` };
    webpack(
      {
        ...options,
        externalsType: 'node-commonjs',
        externals: nest,
        output: { path: join(folder, 'webpack') },
      },
      (error, result) => (error ? reject(error) : resolve(result)),
    );
  });
  expect(stats?.compilation.errors.map(({ message }) => message)).toEqual([]);
});

const apps = {
  'nest.mjs': `
    import 'reflect-metadata';
    import { Controller, Get, Module, Req } from '@nestjs/common';
    import { NestFactory } from '@nestjs/core';
    import { PassageModule } from '@passage-auth/nestjs';
    class MeController {
      me(request) {
        return { userId: request.passage.userId };
      }
    }
    Controller('me')(MeController);
    Get()(MeController.prototype, 'me', Object.getOwnPropertyDescriptor(MeController.prototype, 'me'));
    Req()(MeController.prototype, 'me', 0);
    class AppModule {}
    Module({ imports: [PassageModule.forRoot({ global: true })], controllers: [MeController] })(AppModule);
    const app = await NestFactory.create(AppModule, { logger: ['error'] });
    await app.listen(0, '127.0.0.1');
    console.log('port ' + app.getHttpServer().address().port);`,
  'express.cjs': `
    const { passageAuth, passageErrors, requirePrincipal } = require('@passage-auth/express');
    const express = require('express');
    const app = express();
    app.use(passageAuth());
    app.get('/me', (req, res) => res.json({ userId: requirePrincipal(req).userId }));
    app.use(passageErrors());
    const server = app.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));`,
};

it.each(Object.entries(apps))('is bundled by ncc into a file that runs: %s', async (name, text) => {
  const ncc = createRequire(import.meta.url).resolve('@vercel/ncc/dist/ncc/cli.js');
  const built = join(folder, `ncc-${name}`);
  writeFileSync(join(folder, name), text);
  execFileSync(process.execPath, [ncc, 'build', join(folder, name), '-o', built, '--no-cache', '-q'], {
    cwd: folder,
    stdio: 'pipe',
  });
  const alone = mkdtempSync(join(tmpdir(), 'passage-alone-'));
  cpSync(built, alone, { recursive: true });
  await using passage = await startPassage({ port: 0 });
  const env = { PATH: process.env.PATH, ...passage.env };
  const file = readdirSync(alone).find((one) => /^index\.[cm]?js$/.test(one)) ?? '';
  const child = spawn(process.execPath, [file], { cwd: alone, env });
  try {
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
      });
    await expect.poll(() => output, { timeout: 60_000 }).toMatch(/port \d+/);
    const url = `http://127.0.0.1:${/port (\d+)/.exec(output)?.[1]}/me`;
    const refused = await fetch(url);
    expect([refused.status, refused.headers.get('WWW-Authenticate')]).toEqual([401, 'Bearer']);
    const { userId, headers } = await passage.signIn(await passage.createUser());
    const answer = await fetch(url, { headers });
    expect([answer.status, await answer.json()]).toEqual([200, { userId }]);
  } finally {
    child.kill();
    rmSync(alone, { recursive: true, force: true });
  }
});
