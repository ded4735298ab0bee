/** How many listeners lead, as two dashboards show it. */

import { figure } from "./panels.ts";
import { all, orZero, sum } from "./select.ts";

/** With the runbook that the dashboard is about. */
export function leaders(alert: string) {
  return figure({
    title: "Leaders",
    good: "1. None: readings wait. Two: a node is cut off.",
    alert,
    bad: { below: 1 },
    alsoBad: { above: 2 },
    shows: { leaders: orZero(sum(all("rowcast_listener_leading"))) },
  });
}
