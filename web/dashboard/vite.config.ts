import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// Where a running gateway is while the page is developed: GATEWAY=http://localhost:8000 npm run dev:dashboard
const target = process.env.GATEWAY ?? "http://localhost:8000";

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
      // Writes must come from the gateway's own origin; here the dev server stands before it.
      "/api": { target, ws: true, changeOrigin: true, headers: { origin: target } },
    },
  },
});
