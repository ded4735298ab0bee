/** What Postgres and Redis take. */

import { dashboard } from "./frame.ts";
import { figure, graph } from "./panels.ts";
import { maxBy, of, perSecondBy, quantile } from "./select.ts";

const STATEMENTS = "rowcast_postgres_statement_duration_seconds";
const COMMANDS = "rowcast_redis_command_duration_seconds";
const POOL = "rowcast_postgres_pool_connections";

export const databases = dashboard({
  name: "databases",
  title: "Database and Redis",
  description: "What Postgres and Redis take, as the services see it.",
  components: "ingest|notify-listener|ws-gateway",
  rows: {
    "Statements of Postgres": [
      graph({
        title: "Duration by statement",
        good: "Milliseconds at 99 %, but for reads of history.",
        alert: "RowcastPoolSaturated",
        unit: "s",
        shows: { "99 %, {{statement}}": quantile(0.99, STATEMENTS, "statement") },
      }),
      graph({
        title: "Statements",
        good: "In proportion to the load.",
        unit: "reqps",
        shows: { "{{statement}}": perSecondBy("statement", `${STATEMENTS}_count`) },
      }),
      graph({
        title: "Failed statements",
        good: "0.",
        alert: "RowcastConditionFails",
        unit: "reqps",
        shows: { "{{statement}}": perSecondBy("statement", "rowcast_postgres_statement_errors_total") },
      }),
      graph({
        title: "Time spent in statements",
        good: "Which statement costs the most: 1 is one connection that is busy all the time.",
        unit: "none",
        stacked: true,
        shows: { "{{statement}}": perSecondBy("statement", `${STATEMENTS}_sum`) },
      }),
    ],
    "Connections to Postgres": [
      graph({
        title: "In use",
        good: "Below 100 %, with room for peaks.",
        alert: "RowcastPoolSaturated",
        unit: "percentunit",
        top: 1,
        shows: {
          "{{pod}}": `${maxBy("pod", of(POOL, 'state="busy"'))} / (${maxBy("pod", of("rowcast_postgres_pool_limit"))} > 0)`,
        },
      }),
      graph({
        title: "Waits for a connection",
        good: "Below a millisecond. Empty while nothing is read.",
        alert: "RowcastPoolSaturated",
        unit: "s",
        shows: { "99 %, {{pod}}": quantile(0.99, "rowcast_postgres_pool_wait_seconds", "pod") },
      }),
      graph({
        title: "Waits given up",
        good: "0.",
        alert: "RowcastPoolSaturated",
        unit: "cps",
        shows: { "{{pod}}": perSecondBy("pod", "rowcast_postgres_pool_timeouts_total") },
      }),
      graph({
        title: "Connections",
        good: "Their sum is below `max_connections`, with room for a rollout.",
        stacked: true,
        shows: { "{{component}}, {{state}}": `sum by (component, state) (${of(POOL)})` },
      }),
    ],
    "State of Postgres": [
      figure({
        title: "Notification queue",
        good: "0 %. When it is full, every INSERT that notifies fails.",
        alert: "RowcastNotificationQueueFilling",
        unit: "percentunit",
        width: 8,
        bad: { above: 0.3 },
        shows: { used: `max(${of("rowcast_postgres_notification_queue_usage_ratio")})` },
      }),
      figure({
        title: "Schema version",
        good: "One version, that of the newest service.",
        alert: "RowcastMigrationFailed",
        width: 8,
        shows: { "{{component}}": maxBy("component", of("rowcast_postgres_schema_version")) },
      }),
      figure({
        title: "Largest clock offset",
        good: "Milliseconds. Ages are corrected by it.",
        alert: "RowcastClockOffset",
        unit: "s",
        width: 8,
        bad: { above: 0.5 },
        shows: { offset: `max(abs(${of("rowcast_clock_offset_seconds")}))` },
      }),
      graph({
        title: "Clock offset to Postgres",
        good: "Steady, and larger than its uncertainty only where a clock is wrong.",
        alert: "RowcastClockOffset",
        unit: "s",
        width: 24,
        shows: {
          "{{pod}}": `abs(${of("rowcast_clock_offset_seconds")})`,
          "uncertainty, {{pod}}": of("rowcast_clock_uncertainty_seconds"),
        },
      }),
    ],
    Redis: [
      graph({
        title: "Duration by command",
        good: "Below a millisecond beside Redis; some milliseconds across zones. A read that waits for the stream takes as long as nothing comes.",
        alert: "RowcastBacklogGrows",
        unit: "s",
        shows: { "99 %, {{command}}": quantile(0.99, COMMANDS, "command") },
      }),
      graph({
        title: "Commands",
        good: "In proportion to the load.",
        unit: "reqps",
        shows: { "{{command}}": perSecondBy("command", `${COMMANDS}_count`) },
      }),
      graph({
        title: "Failed commands",
        good: "0.",
        alert: "RowcastReadingsStopped",
        unit: "reqps",
        width: 24,
        shows: { "{{command}}": perSecondBy("command", "rowcast_redis_command_errors_total") },
      }),
    ],
  },
});
