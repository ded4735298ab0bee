import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** What a page pays that uses the client without React: bundled, minified and gzipped. */
const MOST_BYTES = 6_000;

let dist: string;

/** As `npm run build` does, only elsewhere. */
beforeAll(async () => {
  dist = await mkdtemp(join(tmpdir(), "rowcast-client-"));
  await writeFile(join(dist, "package.json"), '{"type":"module"}');
  const compiler = join(
    dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
    "bin/tsc",
  );
  const args = [compiler, "-p", join(ROOT, "tsconfig.build.json"), "--outDir", dist];
  await promisify(execFile)(process.execPath, args);
}, 60_000);

afterAll(() => rm(dist, { recursive: true, force: true }));

it("weighs at most 6 kB", async () => {
  const { code, imports } = await bundle(join(dist, "index.js"));
  const bytes = gzipSync(code, { level: 9 }).length;
  console.info(`@rowcast/client: ${code.length} bytes, ${bytes} gzipped`);
  expect(imports).toEqual([]);
  expect(bytes).toBeLessThanOrEqual(MOST_BYTES);
});

it("needs React only where it is about React", async () => {
  const { imports } = await bundle(join(dist, "react.js"));
  expect(imports).toEqual(["react"]);
});

it("is plain ESM that Node loads as it stands, with its types", async () => {
  const { RowcastClient } = await import(/* @vite-ignore */ pathToFileURL(join(dist, "index.js")).href);
  expect(new RowcastClient({ url: "ws://127.0.0.1:1/ws/sensors/" }).state).toBe("idle");
  expect(await readFile(join(dist, "index.d.ts"), "utf8")).toContain("RowcastClient");
});

async function bundle(entry: string): Promise<{ code: string; imports: string[] }> {
  const built = (await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      modulePreload: false,
      target: "es2022",
      rolldownOptions: { input: entry, external: ["react"], preserveEntrySignatures: "strict" },
    },
  })) as Rolldown.RolldownOutput;
  const [chunk] = built.output;
  return { code: chunk.code, imports: chunk.imports };
}
