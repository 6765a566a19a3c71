// Sends the calls of Passage's own front ends to this server. One tag before them in the page is all:
//   <script src="https://auth.example.com/passage-redirect.js"></script>
// passage-js and passage-elements have the retired address built in, and call `fetch` by its global name.
(() => {
  const script = document.currentScript ?? document.querySelector('script[src*="passage-redirect.js"]');
  const base = new URL('.', script.src);
  const moved = [
    ['https://auth.passage.id/v1/', 'auth/v1/'],
    ['https://storage.googleapis.com/passage-frontend/locales/', 'locales/'],
  ];

  const original = window.fetch;
  window.fetch = function fetch(input, init) {
    const url = String(input instanceof Request ? input.url : input);
    for (const [from, to] of moved) {
      if (!url.startsWith(from)) continue;
      const target = new URL(to + url.slice(from.length), base).href;
      return original.call(this, input instanceof Request ? new Request(target, input) : target, init);
    }
    return original.call(this, input, init);
  };
})();
