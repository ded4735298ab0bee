/** All dashboards, by the names of their files. */

import { databases } from "./databases.ts";
import { gateways } from "./gateways.ts";
import { ingest } from "./ingest.ts";
import { listener } from "./listener.ts";
import { objectives } from "./objectives.ts";
import { overview } from "./overview.ts";

export const dashboards = { databases, gateways, ingest, listener, objectives, overview };

/** The text of each file. */
export const files = Object.entries(dashboards).map(([name, dashboard]) => ({
  name: `${name}.json`,
  text: `${JSON.stringify(dashboard, null, 2)}\n`,
}));
