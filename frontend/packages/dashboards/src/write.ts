/** Writes the dashboards into the chart; `cargo xtask codegen` runs it. */

import { mkdirSync, writeFileSync } from "node:fs";
import { files } from "./all.ts";

const folder = new URL("../../../../charts/rowcast/dashboards/", import.meta.url);
mkdirSync(folder, { recursive: true });
for (const { name, text } of files) writeFileSync(new URL(name, folder), text);
