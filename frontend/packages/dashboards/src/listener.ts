/** Who leads, and how readings are forwarded. */

import { dashboard } from "./frame.ts";
import { leaders } from "./leaders.ts";
import { figure, graph, timeline } from "./panels.ts";
import { processes } from "./process.ts";
import { all, counted, maxBy, perSecond, perSecondBy, quantile, sum, sumBy } from "./select.ts";

export const listener = dashboard({
  name: "listener",
  title: "Listener and Lease",
  description: "Who leads, how readings get from Postgres into the stream, and the upkeep.",
  components: "notify-listener",
  rows: {
    Leadership: [
      timeline({
        title: "Leader",
        good: "One green line at each moment, with few changes.",
        alert: "RowcastLeaderFlapping",
        states: ["leads", "stands by"],
        shows: { "{{pod}}": maxBy("pod", all("rowcast_listener_leading")) },
      }),
      leaders("RowcastTwoLeaders"),
      figure({
        title: "Changes",
        good: "0, or 2 for each takeover.",
        alert: "RowcastLeaderFlapping",
        shows: { changes: sum(`changes(${all("rowcast_listener_leading")}[$__range])`) },
      }),
      figure({
        title: "Refused by the fences",
        good: "0. A former leader tried to write: nothing was duplicated, but a node was frozen or cut off.",
        alert: "RowcastTwoLeaders",
        bad: { above: 1 },
        shows: { refused: counted("rowcast_listener_fenced_total") },
      }),
      graph({
        title: "Renewals of the Lease",
        good: "Tens of milliseconds. Empty with `listener.lease=off`.",
        alert: "RowcastLeaderFlapping",
        unit: "s",
        shows: { "99 %": quantile(0.99, "rowcast_lease_renew_seconds") },
      }),
      graph({
        title: "Failed requests for the Lease",
        good: "0. Some while the API server restarts: a leader stays until its renew deadline. Empty with `listener.lease=off`.",
        alert: "RowcastLeaderFlapping",
        unit: "cps",
        shows: { "{{pod}}": perSecondBy("pod", "rowcast_lease_errors_total") },
      }),
      graph({
        title: "Checks of the standbys",
        good: "0. `stalled`: the leader did not move on; `blind`: Postgres or Redis did not answer the standby, so that it could not take over.",
        unit: "cps",
        shows: {
          "stalled, {{pod}}": perSecondBy("pod", "rowcast_listener_standby_lags_total"),
          "blind, {{pod}}": perSecondBy("pod", "rowcast_listener_standby_blind_total"),
        },
      }),
    ],
    Forwarding: [
      graph({
        title: "Readings",
        good: "Ticked and appended lie on each other. Appended again: a lost stream is made anew.",
        alert: "RowcastBacklogGrows",
        unit: "cps",
        shows: {
          ticked: perSecond("rowcast_listener_ticked_readings_total"),
          appended: perSecond("rowcast_listener_readings_total"),
          "appended again": perSecond("rowcast_listener_repeated_readings_total"),
        },
      }),
      graph({
        title: "Backlog",
        good: "Near 0; it falls after an outage.",
        alert: "RowcastBacklogGrows",
        shows: {
          readings: `max(${all("rowcast_listener_backlog_readings")})`,
          ticks: `max(${all("rowcast_listener_backlog_ticks")})`,
        },
      }),
      graph({
        title: "From insert to append",
        good: "Milliseconds.",
        alert: "RowcastReadingsLate",
        unit: "s",
        shows: {
          "50 %": quantile(0.5, "rowcast_listener_lag_seconds"),
          "99 %": quantile(0.99, "rowcast_listener_lag_seconds"),
        },
      }),
      graph({
        title: "Stages",
        good: "Milliseconds. A second of `commit_to_tick`: notifications are missing, so that the leader polls.",
        alert: "RowcastReadingsLate",
        unit: "s",
        shows: { "99 %, {{stage}}": quantile(0.99, "rowcast_listener_stage_seconds", "stage") },
      }),
      graph({
        title: "Ticks and notifications",
        good: "A notification wakes the leader. Under load there are none, as it ticks all the time.",
        alert: "RowcastNotificationsMissing",
        unit: "cps",
        shows: {
          ticks: perSecond("rowcast_listener_ticks_total"),
          notifications: perSecond("rowcast_listener_notifications_total"),
        },
      }),
      graph({
        title: "Age of the last tick",
        good: "Seconds while readings arrive; it grows while none do.",
        unit: "s",
        shows: { age: `time() - max(${all("rowcast_listener_last_tick_timestamp_seconds")} > 0)` },
      }),
      graph({
        title: "Heads",
        good: "Log and stream move together.",
        shows: {
          "log, ticks": `max(${all("rowcast_listener_log_head_tick")})`,
          "stream, ticks": `max(${all("rowcast_listener_stream_head_tick")})`,
        },
      }),
      graph({
        title: "Losses of Postgres or Redis",
        good: "0.",
        unit: "cps",
        shows: { "{{pod}}": perSecondBy("pod", "rowcast_listener_losses_total") },
      }),
    ],
    Upkeep: [
      figure({
        title: "Partitions ahead",
        good: "3 days; for some minutes after midnight (UTC) one less.",
        alert: "RowcastPartitionsRunningOut",
        width: 8,
        bad: { below: 2 },
        shows: { days: `max(${all("rowcast_listener_partitions_ahead")})` },
      }),
      figure({
        title: "Since the last good upkeep",
        good: "Below 10 minutes.",
        alert: "RowcastUpkeepFailing",
        unit: "s",
        width: 8,
        bad: { above: 1800 },
        shows: { since: `time() - max(${all("rowcast_listener_upkeep_success_timestamp_seconds")} > 0)` },
      }),
      figure({
        title: "Failed upkeep",
        good: "0.",
        alert: "RowcastUpkeepFailing",
        width: 8,
        bad: { above: 1 },
        shows: { failures: counted("rowcast_listener_upkeep_failures_total") },
      }),
      graph({
        title: "Negative ages",
        good: "0: after correction no reading is younger than 0. Others say that a clock jumped.",
        alert: "RowcastClockOffset",
        unit: "cps",
        width: 24,
        shows: {
          "listener, {{stage}}": perSecondBy("stage", "rowcast_listener_negative_ages_total"),
          "gateways, {{stage}}": sumBy(
            "stage",
            `rate(${all("rowcast_gateway_negative_ages_total")}[$__rate_interval])`,
          ),
        },
      }),
    ],
    ...processes("notify-listener"),
  },
});
