import { existsSync, readFileSync } from "node:fs";
import type { Dashboard, Panel, RowPanel } from "@grafana/grafana-foundation-sdk/dashboard";
import { describe, expect, test } from "vitest";
import { dashboards, files } from "../src/all.ts";

const root = new URL("../../../../", import.meta.url);
const panels = ({ panels }: Dashboard): Panel[] =>
  (panels ?? []).filter((panel: Panel | RowPanel): panel is Panel => panel.type !== "row");

test.each(files)("$name in the chart is current", ({ name, text }) => {
  const path = new URL(`charts/rowcast/dashboards/${name}`, root);
  expect(readFileSync(path, "utf8"), "`cargo xtask codegen` writes it").toBe(text);
});

describe.each(Object.entries(dashboards))("%s", (_, dashboard) => {
  test("has the variables of every dashboard", () => {
    const names = dashboard.templating?.list?.map(({ name }) => name);
    expect(names).toEqual(["datasource", "namespace", "release", "instance", "runbooks"]);
  });

  test("has panels with a description, and queries of one installation", () => {
    expect(panels(dashboard).length).toBeGreaterThan(5);
    for (const { title, description, targets } of panels(dashboard)) {
      expect(description, title).toMatch(/\w/);
      for (const query of targets ?? []) {
        const { expr } = query as unknown as { expr: string };
        const selectors = expr.match(/\{[^{}]*\}/g) ?? [];
        expect(selectors.length, title).toBeGreaterThan(0);
        for (const selector of selectors) {
          expect(selector, title).toContain('namespace="$namespace",release="$release"');
        }
      }
    }
  });

  test("links runbooks that exist", () => {
    for (const { links } of panels(dashboard)) {
      for (const { url } of links ?? []) {
        const page = url?.replace("${" + "runbooks}", "docs/runbooks") ?? "";
        expect(existsSync(new URL(page, root)), page).toBe(true);
      }
    }
  });
});
