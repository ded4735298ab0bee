/** What every service's dashboard shows of its processes. */

import { figure, graph, timeline } from "./panels.ts";
import { minBy, of, perSecondBy, quantile, share } from "./select.ts";

/** The rows "Processes" and "Runtime" of one service. */
export const processes = (component: string) => {
  const own = `component="${component}"`;
  return {
    Processes: [
      timeline({
        title: "Ready",
        good: "Green throughout. A pod is red for its first seconds, and while it drains.",
        alert: "RowcastConditionFails",
        states: ["ready", "not ready"],
        bad: 0,
        shows: { "{{pod}}": minBy("pod", of("rowcast_ready", own)) },
      }),
      graph({
        title: "CPU",
        good: "Below a whole core for each pod, with room for twice the load.",
        unit: "none",
        shows: { "{{pod}}": perSecondBy("pod", "process_cpu_seconds_total", own) },
      }),
      graph({
        title: "Memory",
        good: "Level after the first hour: caches fill up to their limit and stay there. The alert compares it with the pod's limit.",
        alert: "RowcastMemoryNearLimit",
        unit: "bytes",
        shows: { "{{pod}}": of("process_resident_memory_bytes", own) },
      }),
      graph({
        title: "Open files",
        good: "As many as connections, and some dozens more.",
        shows: { "{{pod}}": of("process_open_fds", own) },
      }),
      figure({
        title: "Panics",
        good: "0. A panic is a bug; the log has its place.",
        alert: "RowcastPanicked",
        width: 24,
        bad: { above: 1 },
        shows: { panics: `round(sum(increase(${of("rowcast_panics_total", own)}[$__range])))` },
      }),
    ],
    Runtime: [
      graph({
        title: "Busy workers",
        good: "Below 80 %. At 100 % everything waits for CPU.",
        unit: "percentunit",
        top: 1,
        width: 8,
        shows: {
          "{{pod}}": `${perSecondBy("pod", "rowcast_runtime_busy_seconds_total", own)} / sum by (pod) (${of("rowcast_runtime_workers", own)})`,
        },
      }),
      graph({
        title: "Lateness of a timer",
        good: "Milliseconds. More says that the process gets no CPU: it is throttled, or its host is overloaded.",
        unit: "s",
        width: 8,
        shows: { "99 %, {{pod}}": quantile(0.99, "rowcast_runtime_lag_seconds", "pod", own) },
      }),
      graph({
        title: "Tasks that wait for a worker",
        good: "Near 0, with short peaks.",
        width: 8,
        shows: { "{{pod}}": of("rowcast_runtime_queue_depth", own) },
      }),
    ],
  };
};

/** How full a public port is. */
export const connections = (component: string) =>
  graph({
    title: "Connections by limit",
    good: "Below 85 % of the limit of each pod.",
    alert: "RowcastConnectionsNearLimit",
    unit: "percentunit",
    top: 1,
    shows: {
      "{{pod}}": share(
        "rowcast_http_connections_open",
        "rowcast_http_connections_limit",
        `component="${component}"`,
      ),
    },
  });
