import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const packages = fileURLToPath(new URL('../packages/', import.meta.url));

/** Floors of the server, from the top: what a file imports is on its own floor or on one below. */
const floors: readonly (readonly string[])[] = [
  ['cli.ts', 'commands'],
  ['index.ts', 'server.ts', 'schedule.ts', 'environment.ts'],
  ['answerer.ts'],
  ['router.ts'],
  ['auth'],
  ['management'],
  ['webauthn'],
  ['pages'],
  ['http'],
  ['logins'],
  ['messages'],
  ['users'],
  ['apps'],
  ['limits'],
  ['events'],
  ['service.ts', 'options.ts', 'settings.ts', 'appearance.ts'],
  ['delivery'],
  ['storage'],
  ['errors.ts', 'answer.ts', 'urls.ts', 'strict.ts'],
];

type Imports = ReadonlyMap<string, readonly string[]>;

/** Returns the sources of a package, each with those that it imports: values and types alike. */
function readImports(name: string): Imports {
  const root = join(packages, name, 'src');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' });
  const sources = files.filter((file) => /\.[jt]s$/.test(file) && !/\.(test|d)\.ts$/.test(file));
  return new Map(
    sources.map((file) => {
      const { importedFiles } = ts.preProcessFile(readFileSync(join(root, file), 'utf8'));
      const own = importedFiles.filter(({ fileName }) => /^\..*\.[jt]s$/.test(fileName));
      return [file, own.map(({ fileName }) => join(dirname(file), fileName))];
    }),
  );
}

/** Returns every import that leads back to a file it came from, with the way around. */
function findCircles(imports: Imports): string[] {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]) => {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(' → '));
    else if (!done.has(file)) for (const next of imports.get(file) ?? []) visit(next, [...way, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return circles;
}

function floorOf(file: string): number {
  return floors.findIndex((floor) => floor.includes(file.split('/')[0] ?? ''));
}

describe.each(readdirSync(packages))('%s', (name) => {
  it('has no import circle', () => {
    const imports = readImports(name);
    expect(imports.size).toBeGreaterThan(0);
    expect(findCircles(imports)).toEqual([]);
  });
});

describe('server', () => {
  const imports = readImports('server');

  it('has every source on a floor', () => {
    expect([...imports.keys()].filter((file) => floorOf(file) < 0)).toEqual([]);
  });

  // Its main file loads OpenTelemetry, which takes a fifth of the start of a command.
  it('imports parts of prom-client only', () => {
    const whole = /^import (?!type ).* from 'prom-client';$/m;
    const root = join(packages, 'server/src');
    expect([...imports.keys()].filter((file) => whole.test(readFileSync(join(root, file), 'utf8')))).toEqual(
      [],
    );
  });

  it('imports nothing upwards', () => {
    const upward = [...imports].flatMap(([file, targets]) =>
      targets.filter((target) => floorOf(target) < floorOf(file)).map((target) => `${file} → ${target}`),
    );
    expect(upward).toEqual([]);
  });
});
