import { defineConfig } from 'vite';

const pages = ['index', 'login', 'profile'];

export default defineConfig({
  root: `${import.meta.dirname}/src/client`,
  build: {
    outDir: `${import.meta.dirname}/dist/client`,
    emptyOutDir: true,
    // passage-elements alone is larger than the default.
    chunkSizeWarningLimit: 2000,
    rollupOptions: {
      input: pages.map((page) => `${import.meta.dirname}/src/client/${page}.html`),
      checks: { pluginTimings: false },
    },
  },
  define: { 'process.env.NODE_ENV': '"production"' },
});
