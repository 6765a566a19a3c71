import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LaunchOptions } from 'playwright-core';

const chrome = 'Google/Chrome/Application/chrome.exe';
const edge = 'Microsoft/Edge/Application/msedge.exe';
const windows = [process.env.ProgramFiles, process.env['ProgramFiles(x86)'], process.env.LOCALAPPDATA]
  .filter((folder) => folder !== undefined)
  .flatMap((folder) => [join(folder, chrome), join(folder, edge)]);

const usual: Partial<Record<NodeJS.Platform, string[]>> = {
  darwin: [
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
  ],
  linux: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'],
  win32: windows,
};

/** Whether npm installs a browser here: `@sparticuz/chromium` is for this system only. */
const bundled = process.platform === 'linux' && process.arch === 'x64';
const installed = process.env.CHROMIUM_PATH || usual[process.platform]?.find(existsSync);

/** Whether the browser tests can run. Linux must not do without: there they fail. */
export const hasBrowser = process.platform === 'linux' || installed !== undefined;

/** Returns how to start the browser of `CHROMIUM_PATH`, that of npm, or the system's, in this order. */
export function findBrowser(): LaunchOptions {
  if (bundled && !process.env.CHROMIUM_PATH) return unpack();
  if (installed && existsSync(installed)) return { executablePath: installed };
  throw new Error(
    `The browser tests need Chromium at ${installed ?? 'its usual place'}: install it, or set CHROMIUM_PATH`,
  );
}

/** Unpacks the browser once for each clone, with the libraries and fonts that a bare system does not have. */
function unpack(): LaunchOptions {
  const modules = fileURLToPath(new URL('../node_modules', import.meta.url));
  const { version } = JSON.parse(readFileSync(join(modules, '@sparticuz/chromium/package.json'), 'utf8'));
  const cache = join(modules, '.cache');
  const folder = join(cache, `chromium-${version}`);
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true });
    const fresh = mkdtempSync(join(cache, 'chromium-'));
    const script = "import('@sparticuz/chromium').then((chromium) => chromium.default.executablePath())";
    execFileSync(process.execPath, ['-e', script], {
      cwd: join(modules, '..'),
      // Where to put it, and that the libraries are wanted, can be said by these variables only.
      env: { ...process.env, TMPDIR: fresh, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs20.x' },
    });
    writeFileSync(join(fresh, 'fonts/fonts.conf'), fontsOf(folder));
    try {
      renameSync(fresh, folder);
    } catch {
      // Another process was faster.
      rmSync(fresh, { recursive: true });
    }
  }
  return {
    executablePath: join(folder, 'chromium'),
    env: {
      ...process.env,
      LD_LIBRARY_PATH: join(folder, 'al2023/lib'),
      FONTCONFIG_PATH: join(folder, 'fonts'),
    },
  };
}

// The package's own settings name the usual temporary folder. Without any font Chromium crashes at the first text field.
function fontsOf(folder: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${join(folder, 'fonts')}</dir><cachedir>${join(folder, 'fonts/cache')}</cachedir></fontconfig>
`;
}
