import { expect, it } from "vitest";
import { basenameOf, rebaseFiles } from "./basename";

it("rewrites the files of the routes to the prefix", () => {
  const manifest = {
    entry: { module: "/assets/entry.js", imports: ["/assets/a.js"], css: [] },
    routes: { docs: { module: "/assets/docs.js", imports: [], css: ["/assets/docs.css"] } },
  };
  const before = structuredClone(manifest);
  rebaseFiles(manifest, "https://host/assets/entry.js");
  expect(manifest).toEqual(before);
  rebaseFiles(manifest, "https://host/a/b/assets/entry.js");
  expect(manifest.entry).toEqual({ module: "/a/b/assets/entry.js", imports: ["/a/b/assets/a.js"], css: [] });
  expect(manifest.routes.docs.css).toEqual(["/a/b/assets/docs.css"]);
});

it.each([
  ["/rowcast", "/rowcast", "/rowcast"],
  ["/rowcast", "/rowcast/docs", "/rowcast"],
  ["/rowcast", "/docs", "/"],
  ["/rowcast", "/rowcasts", "/"],
  ["/", "/docs", "/"],
])("with the prefix %s at %s is %s", (prefix, path, basename) => {
  expect(basenameOf(prefix, path)).toBe(basename);
});
