// Ends with 0 when the server of this container answers. `/livez` is below the path of PASSAGE_BASE_URL.
const { PASSAGE_BASE_URL, PORT } = process.env;
const path = new URL(PASSAGE_BASE_URL).pathname.replace(/\/+$/, '');
const { ok } = await fetch(`http://127.0.0.1:${PORT || 3000}${path}/livez`, {
  signal: AbortSignal.timeout(4_000),
});
process.exitCode = ok ? 0 : 1;
