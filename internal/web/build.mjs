// Bundles the scripts and styles of the pages, and of the desktop's page if that is there:
//   npm run build            once
//   npm run build -- --watch and again after every change
// Files are named after their content and can be cached for ever; manifest.json tells their names.
import { context, build } from "esbuild";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "../..");
const watch = process.argv.includes("--watch");

const shared = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "linked",
  loader: { ".woff2": "file", ".svg": "file" },
  logLevel: "warning",
};

const targets = [
  {
    src: "internal/web/static/src",
    dist: "internal/web/static/dist",
    entries: ["app.ts", "lobby.ts", "style.css", "logo.svg"],
    options: { entryNames: "[name]-[hash]", assetNames: "[name]-[hash]", chunkNames: "[name]-[hash]", splitting: true, metafile: true, loader: { ".woff2": "file", ".svg": "copy", ".txt": "text" } },
    manifest: true,
    parts: ["htmx.org", "@fontsource-variable/inter"],
  },
  {
    src: "internal/agent/novncagent/static/src",
    dist: "internal/agent/novncagent/static/dist",
    entries: ["desktop.ts", "message.ts", "desktop.css"],
    options: { entryNames: "[name]", assetNames: "[name]" },
    parts: ["@novnc/novnc"],
  },
];

for (const target of targets) {
  const entryPoints = target.entries.map((name) => path.join(target.src, name)).filter((name) => existsSync(path.join(root, name)));
  if (entryPoints.length === 0) continue;
  await clear(path.join(root, target.dist));
  const options = { ...shared, ...target.options, entryPoints, outdir: target.dist, plugins: target.manifest ? [manifestOf(target)] : [] };
  if (watch) await (await context(options)).watch();
  else await build(options);
  await writeFile(path.join(root, target.dist, "licenses.txt"), await licenses(target.parts));
}

/** The licences of what is bundled travel with it. */
async function licenses(parts) {
  let text = "";
  for (const part of parts) {
    const dir = path.join(root, "node_modules", part);
    const { version } = JSON.parse(await readFile(path.join(dir, "package.json"), "utf8"));
    const file = (await readdir(dir)).find((name) => /^licen[cs]e(\.txt|\.md)?$/i.test(name));
    if (!file) throw new Error(`${part} has no licence file`);
    text += `${part} ${version}\n\n${await readFile(path.join(dir, file), "utf8")}\n\n`;
  }
  return text;
}

async function clear(dir) {
  await mkdir(dir, { recursive: true });
  for (const name of await readdir(dir)) {
    if (name !== ".keep") await rm(path.join(dir, name), { recursive: true });
  }
}

/** Writes which output was made from which source: what people call "app.ts" is served as "app-<hash>.js". */
function manifestOf(target) {
  return {
    name: "manifest",
    setup(b) {
      b.onEnd(async ({ metafile, errors }) => {
        if (errors.length > 0) return;
        const names = { "licenses.txt": "licenses.txt" };
        for (const [out, { entryPoint, inputs }] of Object.entries(metafile.outputs)) {
          const file = path.basename(out);
          const source = entryPoint ?? (Object.keys(inputs).length === 1 && out.endsWith(".woff2") ? Object.keys(inputs)[0] : undefined);
          names[source ? path.basename(source) : file] = file;
        }
        const sorted = Object.fromEntries(Object.entries(names).sort(([a], [b]) => (a < b ? -1 : 1)));
        await writeFile(path.join(root, target.dist, "manifest.json"), JSON.stringify(sorted, null, 2) + "\n");
      });
    },
  };
}
