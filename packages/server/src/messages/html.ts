import type { Language } from '../delivery/delivery.ts';

/**
 * Returns the HTML document of an email. Every argument is plain text, and is escaped here.
 *
 * Styles are inline because mail programs drop style sheets; the colors suit light and dark.
 */
export function renderHtml(mail: {
  language: Language;
  title: string;
  intro: string;
  /** Absent from notices. */
  main?: { code: string } | { link: { url: string; label: string } } | undefined;
  /** Paragraph below the code or link. */
  detail: string;
  footer: string;
}): string {
  const { main } = mail;
  const secret = main && ('link' in main ? button(main.link) : codeBox(main.code));
  return `<!doctype html>
<html lang="${mail.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(mail.title)}</title>
</head>
<body style="margin:0;padding:32px 16px;font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif">
<div style="max-width:440px;margin:0 auto">
<h1 style="margin:0 0 16px;font-size:20px;line-height:1.3">${escapeHtml(mail.title)}</h1>
<p style="margin:0 0 20px">${escapeHtml(mail.intro)}</p>
${secret ?? ''}
<p style="margin:20px 0 0">${escapeHtml(mail.detail)}</p>
<p style="margin:32px 0 0;font-size:13px;opacity:.7">${escapeHtml(mail.footer)}</p>
</div>
</body>
</html>
`;
}

function codeBox(code: string): string {
  const style = 'margin:0;font:600 32px/1.2 ui-monospace,Menlo,Consolas,monospace;letter-spacing:.18em';
  return `<p style="${style}">${escapeHtml(code)}</p>`;
}

// The URL is also below the button: some programs show no buttons, and careful readers want to see it.
function button({ url, label }: { url: string; label: string }): string {
  const style =
    'display:inline-block;padding:12px 24px;border-radius:8px;background:#3452d1;color:#ffffff;font-weight:600;text-decoration:none';
  return `<p style="margin:0"><a href="${escapeHtml(url)}" style="${style}">${escapeHtml(label)}</a></p>
<p style="margin:16px 0 0;font-size:13px;word-break:break-all;opacity:.7">${escapeHtml(url)}</p>`;
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes text for an HTML element or a quoted attribute. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}
