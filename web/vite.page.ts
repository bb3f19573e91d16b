import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

/** Configure the build of the page in `root`; while it is developed, `target` answers for its interface. */
export function page(root: string, target: string) {
  return defineConfig({
    root,
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
        // Writes must come from the server's own origin; here the dev server stands before it.
        "/api": { target, ws: true, changeOrigin: true, headers: { origin: target } },
      },
    },
  });
}
