import {
  type Browser,
  type BrowserContextOptions,
  type CDPSession,
  chromium,
  type Page,
} from 'playwright-core';
import { vi } from 'vitest';
import { findBrowser } from './executable.ts';

// Chromium gets slow where other work runs beside it; every wait still ends as soon as its condition holds.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts Chromium, or says how to get it. */
export async function launch(moreArgs: readonly string[] = []): Promise<Browser> {
  return chromium.launch({ ...findBrowser(), args: [...args, ...moreArgs] });
}

export interface Visitor extends AsyncDisposable {
  readonly page: Page;
  /** What the page complained about: errors nobody caught, and whatever the Content-Security-Policy stopped. */
  readonly complaints: readonly string[];
  /** Makes the visitor confirm, or cancel, what the browser asks about passkeys. */
  confirms(yes: boolean): Promise<void>;
  /** Number of passkeys the visitor has. */
  countPasskeys(): Promise<number>;
  /** Gives the visitor a security key besides, which has none of the passkeys made so far. */
  addSecurityKey(): Promise<void>;
}

/**
 * Opens a window of its own for one visitor, with an authenticator that keeps passkeys and confirms whatever it is asked.
 */
export async function visit(browser: Browser, options: BrowserContextOptions = {}): Promise<Visitor> {
  const context = await browser.newContext({ locale: 'en-US', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted/.test(message.text())) complaints.push(message.text());
  });
  const cdp = await context.newCDPSession(page);
  const authenticatorId = await addAuthenticator(cdp, 'internal');
  return {
    page,
    complaints,
    async confirms(yes) {
      await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: yes });
      await cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled: yes });
    },
    async countPasskeys() {
      const { credentials } = await cdp.send('WebAuthn.getCredentials', { authenticatorId });
      return credentials.length;
    },
    async addSecurityKey() {
      await addAuthenticator(cdp, 'usb');
    },
    [Symbol.asyncDispose]: () => context.close(),
  };
}

async function addAuthenticator(cdp: CDPSession, transport: 'internal' | 'usb'): Promise<string> {
  await cdp.send('WebAuthn.enable');
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      ctap2Version: 'ctap2_1',
      transport,
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return authenticatorId;
}
