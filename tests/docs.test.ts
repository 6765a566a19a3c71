/// <reference types="vite/types/importMeta.d.ts" />
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The pages of the repository by their path from its root. */
const pages = read(
  import.meta.glob<string>(['/**/*.md', '/.github/**/*.md', '!/docs/api/**'], {
    query: '?raw',
    import: 'default',
    eager: true,
  }),
);
const sources = read(
  import.meta.glob<string>(['/packages/*/src/**/*.ts', '!**/*.test.ts'], {
    query: '?raw',
    import: 'default',
    eager: true,
  }),
);

/** All that is written for the repository and may cite a page. */
const citing = read(
  import.meta.glob<string>(
    [
      '/packages/*/{src,test}/**/*.{ts,tsx,js}',
      '/{tests,bench}/**/*.{ts,tsx,js,mjs}',
      '/examples/*/src/**/*.{ts,tsx,js}',
      '!**/{dist,node_modules}/**',
    ],
    { query: '?raw', import: 'default', eager: true },
  ),
);

describe.each([...pages])('%s', (path, text) => {
  it('has code that compiles', () => {
    expect(errorsOf(path), 'a block must compile by itself: declare or import all that it uses').toEqual([]);
  });

  it('names commands and variables that exist', () => {
    const commands = matches(text, /\bnpm run (?:--\S+ )*([\w:-]+)/g);
    const variables = matches(text, /\b(PASSAGE_[A-Z_]*[A-Z])\b/g);
    expect([
      ...commands.filter((name) => !scriptsFor(path).has(name)),
      ...variables.filter((name) => !knownVariables.has(name)),
    ]).toEqual([]);
  });

  it('links to what is there', () => {
    expect(linksOf(text).filter((link) => !leadsSomewhere(path, link))).toEqual([]);
  });

  it('cites pages and sections that exist', () => {
    expect(citationsOf(proseOf(text)).filter((citation) => !isThere(citation, path))).toEqual([]);
    expect(matches(text, /\[(§[\d.]+\]\(\S*?#[^)]+)\)/g).filter(namesAnotherSection)).toEqual([]);
  });
});

it.each([...citing])('cites pages and sections that exist in %s', (_path, text) => {
  expect(citationsOf(commentsOf(text)).filter((citation) => !isThere(citation))).toEqual([]);
});

function read(found: Record<string, string>): Map<string, string> {
  return new Map(Object.entries(found).map(([path, text]) => [path.slice(1), text.replaceAll('\r\n', '\n')]));
}

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] as string);
}

// --- Code -----------------------------------------------------------------------------------------------------------

interface Block {
  /** Line of the page that the code begins after. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
}

/** Fenced blocks: one that is not closed reaches to the end of the page (CommonMark §4.5). */
const fences = /^( *)(`{3,})(\w*)[^\n]*\n([\s\S]*?)(?:^ *\2`* *$|(?![\s\S]))/gm;

function blocksOf(text: string): Block[] {
  return [...text.matchAll(fences)].map(({ index, 1: indent = '', 3: language = '', 4: code = '' }) => ({
    line: text.slice(0, index).split('\n').length,
    language: language.toLowerCase(),
    code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));
}

const extensions: Readonly<Record<string, string>> = {
  ts: 'ts',
  typescript: 'ts',
  tsx: 'tsx',
  js: 'js',
  javascript: 'js',
  jsx: 'jsx',
};

/** Each block is a module in the folder of its page, so that it finds what the package there depends on. */
const modules = new Map<string, { page: string; block: Block }>();
for (const [page, text] of pages) {
  for (const block of blocksOf(text)) {
    const extension = extensions[block.language];
    const name = `${basename(page)}-${block.line}.${extension}`;
    if (extension) modules.set(posixPath(join(root, dirname(page), name)), { page, block });
  }
}

const diagnostics = compile();

function errorsOf(page: string): string[] {
  return diagnostics.filter((error) => error.startsWith(`${page}:`));
}

/** Type-checks all blocks as one program: to load the types of the frameworks takes longer than all the rest. */
function compile(): string[] {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, files: [], include: [] }, ts.sys, root);
  Object.assign(options, {
    checkJs: true,
    moduleDetection: ts.ModuleDetectionKind.Force,
    // A page may show how something is made and leave its use to the reader.
    noUnusedLocals: false,
  });
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  const codeOf = (path: string) => modules.get(path)?.block.code;
  host.fileExists = (path) => modules.has(path) || fileExists(path);
  host.readFile = (path) => codeOf(path) ?? readFile(path);
  host.getSourceFile = (path, target, ...rest) => {
    const code = codeOf(path);
    return code === undefined
      ? getSourceFile(path, target, ...rest)
      : ts.createSourceFile(path, code, target);
  };
  host.resolveModuleNameLiterals = (literals, from) =>
    literals.map(({ text }) => {
      // What no package of the page's folder depends on is looked for where the frameworks are installed.
      const folders = modules.has(from)
        ? [...quotedFrom(from), 'packages/nestjs', 'packages/express', 'packages/server', 'tests']
        : [];
      const files = [from, ...folders.map((folder) => posixPath(join(root, folder, 'page.ts')))];
      const found = files.map((file) => ts.resolveModuleName(text, file, options, host));
      return found.find(({ resolvedModule }) => resolvedModule) ?? { resolvedModule: undefined };
    });
  const program = ts.createProgram([...modules.keys()], options, host);
  return [...modules].flatMap(([path, { page, block }]) => {
    const file = program.getSourceFile(path);
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      (error) => {
        const { line } = ts.getLineAndCharacterOfPosition(file as ts.SourceFile, error.start ?? 0);
        const message = ts.flattenDiagnosticMessageText(error.messageText, ' ');
        return `${page}:${block.line + line + 1} TS${error.code} ${message}`;
      },
    );
  });
}

/** What an adapter's page quotes imports what is beside it in the example. */
function quotedFrom(page: string): string[] {
  return [`examples/${basename(dirname(page))}/src`];
}

function posixPath(path: string): string {
  return path.replaceAll('\\', '/');
}

// --- Names ----------------------------------------------------------------------------------------------------------

const knownVariables = new Set(
  [...sources.values()].flatMap((text) => matches(text, /\b(PASSAGE_[A-Z_]+)\b/g)),
);

/** The scripts of the root, and those of the package that a page belongs to. */
function scriptsFor(page: string): Set<string> {
  const files = ['package.json', join(dirname(page), 'package.json')].map((file) => join(root, file));
  const manifests = files
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')));
  return new Set(manifests.flatMap(({ scripts }) => Object.keys(scripts ?? {})));
}

// --- Links ----------------------------------------------------------------------------------------------------------

/** Links of a page that do not leave the repository. */
function linksOf(text: string): string[] {
  const prose = withoutBlocks(text).replaceAll(/`[^`\n]+`/g, '');
  const links = matches(prose, /\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g);
  const references = matches(prose, /^\[[^\]]+\]: (\S+)/gm);
  return [...links, ...references].filter((link) => !/^[a-z]+:/i.test(link));
}

function withoutBlocks(text: string): string {
  return text.replaceAll(fences, '');
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = '', anchor] = decodeURIComponent(link).split('#');
  const target = path ? posix.join(posix.dirname(page), path) : page;
  if (target.startsWith('..') || !existsSync(join(root, target))) return false;
  if (!anchor) return true;
  const text = pages.get(target);
  // Lines of sources: `#L10-L20`.
  if (text === undefined) return statSync(join(root, target)).isFile() && /^L\d+(-L\d+)?$/.test(anchor);
  return anchorsOf(text).has(anchor);
}

/** Anchors of the headings of a page, as GitHub makes them. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const heading of matches(withoutBlocks(text), /^#{1,6} +(.+)$/gm)) {
    const visible = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/<[^>]+>/g, '');
    const slug = visible
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let count = 1; anchors.has(anchor); count += 1) anchor = `${slug}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}

// --- Citations ------------------------------------------------------------------------------------------------------

interface Citation {
  readonly page: string;
  readonly sections: readonly string[];
}

/** Citations of a page, as `docs/protocol.md §2.4`, or of several sections of it, joined by `and` or a comma. */
function citationsOf(text: string): Citation[] {
  const pattern = /(?<![\w./*-])([\w./-]*\w\.md)\b((?:(?:,| and)? §[\d.]*\d)*)/g;
  return [...text.matchAll(pattern)].map(([, page = '', sections = '']) => ({
    page,
    sections: matches(sections, /§([\d.]+)/g),
  }));
}

/** Sources name pages by their path from the root: they are read in an editor, and in the package that is shipped. */
function isThere({ page, sections }: Citation, from?: string): boolean {
  const paths = from === undefined ? [page] : [page, posix.join(posix.dirname(from), page)];
  const found = paths.find((path) => existsSync(join(root, path)));
  return found !== undefined && sections.every((section) => sectionsOf(found).has(section));
}

/** Numbers that the headings of a page begin with. */
function sectionsOf(page: string): Set<string> {
  return new Set(matches(withoutBlocks(pages.get(page) ?? ''), /^#{1,6} +(\d+(?:\.\d+)*)\.? /gm));
}

/** True for `§2.4](#25-lifetimes`: the text of the link is one section and its target another. */
function namesAnotherSection(link: string): boolean {
  const [, number = '', anchor = ''] = /^§([\d.]+)\]\(\S*?#(.*)$/.exec(link) ?? [];
  return !anchor.startsWith(`${number.replaceAll('.', '')}-`);
}

function proseOf(text: string): string {
  return withoutBlocks(text).replaceAll(/`[^`\n]+`|\]\([^)]*\)|https?:\S+/g, '');
}

function commentsOf(text: string): string {
  const code = text.replaceAll(/https?:\S+/g, '');
  return [...code.matchAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm)].join('\n');
}
