import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// Where a running console is while the page is developed: CONSOLE=http://localhost:8080 npm run dev:console
const target = process.env.CONSOLE ?? "http://localhost:8080";

export default defineConfig({
  root: import.meta.dirname,
  publicDir: false,
  plugins: [svelte()],
  build: {
    target: "es2022",
    cssTarget: "chrome123", // light-dark() stays as it is written
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    emptyOutDir: true,
    sourcemap: false,
  },
  server: {
    proxy: {
      // Writes must come from the console's own origin; here the dev server stands before it.
      "/api": { target, changeOrigin: true, headers: { origin: target } },
    },
  },
});
