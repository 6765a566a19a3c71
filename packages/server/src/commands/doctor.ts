import { readFileSync } from 'node:fs';
import type { Environment } from '../environment.ts';
import { isLoopback } from '../urls.ts';
import { type Check, check, failure } from './check.ts';
import { columns, command, type Result } from './command.ts';

export const doctorCommands = [
  command({
    names: ['doctor'],
    summary: 'Check configuration, database, public URL and delivery, and say how to fix problems',
    details: 'Run it with the environment of the server. It exits with 1 if a check fails',
    async run({ environment, openService }) {
      let known: Environment;
      try {
        known = environment();
      } catch (error) {
        return report([failure('configuration', error, 'correct the variable')]);
      }
      const checks = checkConfiguration(known);
      const { checkDatabase, checkDelivery, checkEventWebhook, checkKeyAge, checkPublicUrl } = await import(
        './checks.ts'
      );
      try {
        const service = await openService();
        checks.push(check('secret', 'ok', 'matches the database'));
        checks.push(...(await checkDatabase(service)), ...(await checkKeyAge(service)));
        checks.push(...(await checkPublicUrl(service)));
      } catch (error) {
        checks.push(failure('database', error, 'correct DATABASE_URL or PASSAGE_SECRET'));
      }
      checks.push(await checkDelivery(known.options), ...(await checkEventWebhook(known.options)));
      return report(checks);
    },
  }),
  command({
    names: ['doctor token'],
    summary: 'Explain which check an access token fails, and how to fix it',
    details:
      'With -, the token is read from standard input, which other processes cannot see. It is never printed',
    positionals: ['jwt'],
    async run({ args, openService }) {
      const { explainToken } = await import('./explain.ts');
      const token = args.jwt === '-' ? readFileSync(0, 'utf8') : args.jwt;
      return report(await explainToken(await openService(), token.trim()));
    },
  }),
];

function report(checks: readonly Check[]): Result {
  const rows = checks.map(({ name, state, text, cure }) => [state, name, cure ? `${text}: ${cure}` : text]);
  return { text: columns(rows), data: checks, failed: checks.some(({ state }) => state === 'fail') };
}

function checkConfiguration({ options, warnings }: Environment): Check[] {
  const { baseUrl = '', trustedProxies = [] } = options;
  const local = isLoopback(new URL(baseUrl).hostname);
  return [
    check('configuration', 'ok', 'is complete'),
    ...warnings.map((text) => check('configuration', 'warn', text)),
    ...(local
      ? [
          check(
            'public URL',
            'warn',
            'is on this machine',
            'set PASSAGE_BASE_URL to the URL that visitors will use',
          ),
        ]
      : []),
    ...(!local && trustedProxies.length === 0
      ? [
          check(
            'proxies',
            'warn',
            'none is trusted, so visitors behind a reverse proxy share one rate limit',
            'set PASSAGE_TRUSTED_PROXIES to the addresses of your reverse proxy',
          ),
        ]
      : []),
  ];
}
