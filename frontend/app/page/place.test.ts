import { expect, it } from "vitest";
import { moveFiles, placeOf } from "./place";

it("finds the files of the routes below the prefix", () => {
  const manifest = {
    entry: { module: "/assets/entry.js", imports: ["/assets/a.js"], css: [] },
    routes: { docs: { module: "/assets/docs.js", imports: [], css: ["/assets/docs.css"] } },
  };
  const before = structuredClone(manifest);
  moveFiles(manifest, "https://host/assets/entry.js");
  expect(manifest).toEqual(before);
  moveFiles(manifest, "https://host/a/b/assets/entry.js");
  expect(manifest.entry).toEqual({ module: "/a/b/assets/entry.js", imports: ["/a/b/assets/a.js"], css: [] });
  expect(manifest.routes.docs.css).toEqual(["/a/b/assets/docs.css"]);
});

it.each([
  ["/rowcast", "/rowcast", "/rowcast"],
  ["/rowcast", "/rowcast/docs", "/rowcast"],
  ["/rowcast", "/docs", "/"],
  ["/rowcast", "/rowcasts", "/"],
  ["/", "/docs", "/"],
])("is below %s at %s: %s", (prefix, path, place) => {
  expect(placeOf(prefix, path)).toBe(place);
});
