import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";
import { afterAll, beforeAll, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** For a page that uses the client without React: bundled, minified and gzipped. */
const MAX_BYTES = 6_000;
const COMPILER = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");

/** A project that has the built package installed, and nothing else. */
let project: string;
let dist: string;

async function node(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: project });
  return stdout.trim();
}

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

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "rowcast-client-"));
  const installed = join(project, "node_modules/@rowcast/client");
  dist = join(installed, "dist");
  await mkdir(installed, { recursive: true });
  await copyFile(join(ROOT, "package.json"), join(installed, "package.json"));
  await writeFile(join(project, "package.json"), '{"type":"module"}');
  // As `npm run build` does, into another folder.
  await node(COMPILER, "-p", join(ROOT, "tsconfig.build.json"), "--outDir", dist);
}, 60_000);

afterAll(() => rm(project, { recursive: true, force: true }));

it("has at most 6 kB", async () => {
  const { code, imports } = await bundle(join(dist, "index.js"));
  const bytes = gzipSync(code, { level: 9 }).length;
  console.info(`@rowcast/client: ${code.length} bytes, ${bytes} gzipped`);
  expect(imports).toEqual([]);
  expect(bytes).toBeLessThanOrEqual(MAX_BYTES);
});

it("imports React only in its React part", async () => {
  const { imports } = await bundle(join(dist, "react.js"));
  expect(imports).toEqual(["react"]);
});

it("is ESM that Node loads unchanged", async () => {
  const use = `import { RowcastClient } from "@rowcast/client";
console.log(new RowcastClient({ url: "ws://127.0.0.1:1/ws/sensors/" }).state);`;
  await writeFile(join(project, "use.mjs"), use);
  expect(await node("use.mjs")).toBe("idle");
});

it("has types for options and readings", async () => {
  const use = `import { RowcastClient, type Reading } from "@rowcast/client";
const client = new RowcastClient();
// @ts-expect-error
client.subscribe({ sensor: ["a"] });
client.subscribe({ sensors: ["a"], from: { last: "15m" } }, (event) => {
  if (event.type !== "reading") return;
  const reading: Reading = event.reading;
  // @ts-expect-error
  reading.value.trim();
});`;
  await writeFile(join(project, "use.ts"), use);
  const options = [
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2023",
    "--lib",
    "es2023,dom",
    "--types",
    "",
  ];
  expect(await node(COMPILER, "--noEmit", ...options, "use.ts")).toBe("");
}, 20_000);
