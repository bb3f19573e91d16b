// Build each page into the Python package that serves it. The same sources give the same bytes, so that the built files
// can be committed and compared. Usage: node build.mjs [--check] [console ...]
//   --check   build into a temporary folder and compare with what is in the package; exit status 1 where they differ
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const here = import.meta.dirname;
process.chdir(here); // Svelte names its classes by the paths of files, seen from here

// Each page: where its files go, and which packages end up in them.
const pages = {
  console: { output: resolve(here, "../barnabas/src/barnabas/console/static"), bundled: ["svelte", "esm-env", "clsx"] },
  dashboard: {
    output: resolve(here, "../quant/src/barnabas_quant/gateway/static"),
    bundled: ["svelte", "esm-env", "clsx", "lightweight-charts", "fancy-canvas"],
  },
};

const words = process.argv.slice(2);
const check = words.includes("--check");
const chosen = words.filter((word) => !word.startsWith("--"));
let differs = false;

for (const [name, page] of Object.entries(pages)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const folder = check ? mkdtempSync(join(tmpdir(), "barnabas-web-")) : page.output;
  try {
    if (!check) rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    await build({ configFile: join(here, name, "vite.config.ts"), logLevel: "error", build: { outDir: folder } });
    writeFileSync(join(folder, "THIRD_PARTY_NOTICES.txt"), notices(page.bundled));
    if (check) {
      const [built, kept] = [hashes(folder), hashes(page.output)];
      const wrong = [...new Set([...built.keys(), ...kept.keys()])].filter((file) => built.get(file) !== kept.get(file));
      for (const file of wrong) console.error(`${name}: ${file} is not what the sources give`);
      differs ||= wrong.length > 0;
    }
    report(name, folder);
  } finally {
    if (check) rmSync(folder, { recursive: true, force: true });
  }
}
process.exitCode = differs ? 1 : 0;

/** Return the text that names what is bundled, with the licences. */
function notices(packages) {
  const parts = ["The files of this folder contain code of the following packages.\n"];
  for (const name of packages) {
    const root = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const file = readdirSync(root).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? "" : readFileSync(join(root, file), "utf8").trim();
    parts.push(`${"-".repeat(80)}\n${name} ${version} (${license})\n\n${text}\n`);
  }
  return parts.join("\n");
}

function files(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

function hashes(folder) {
  const digest = (file) => createHash("sha256").update(readFileSync(join(folder, file))).digest("hex");
  return new Map(files(folder).map((file) => [file, digest(file)]));
}

/** Print the size of each file as it travels. */
function report(name, folder) {
  let total = 0;
  for (const file of files(folder).filter((entry) => !entry.endsWith(".txt"))) {
    const bytes = readFileSync(join(folder, file));
    const packed = gzipSync(bytes, { level: 9 }).length;
    total += packed;
    console.log(`${name}: ${file} ${(bytes.length / 1000).toFixed(1)} kB, gzipped ${(packed / 1000).toFixed(1)} kB`);
  }
  console.log(`${name}: together ${(total / 1000).toFixed(1)} kB gzipped`);
}
