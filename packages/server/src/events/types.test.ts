import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { type EventName, eventTypes, typeOf } from './types.ts';

it('has its table in docs/security.md: `vitest -u` writes it', async () => {
  const file = fileURLToPath(new URL('../../../../docs/security.md', import.meta.url));
  const page = readFileSync(file, 'utf8').replaceAll('\r\n', '\n');
  const rows = (Object.keys(eventTypes) as EventName[]).map((name) => {
    const { text, recent, audit, webhook } = typeOf(name);
    const told = webhook ? `\`${webhook}\`` : '–';
    return [`\`${name}\``, text, recent ? '✓' : '–', audit ? '✓' : '–', told];
  });
  const table = [
    ['Event', 'What happened', 'User', 'Audit', 'Webhook'],
    ['---', '---', '---', '---', '---'],
    ...rows,
  ]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
  expect(page).toContain('<!-- table: events -->');
  await expect(
    page.replace(
      /(<!-- table: events -->\n).*?(<!-- end -->)/s,
      (_, start, end) => `${start}${table}\n${end}`,
    ),
  ).toMatchFileSnapshot(file);
});
