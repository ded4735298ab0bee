/** How clients are served. */

import { dashboard } from "./frame.ts";
import { figure, graph, timeline } from "./panels.ts";
import { connections, processes } from "./process.ts";
import { all, maxBy, of, perSecond, perSecondBy, quantile, share, sum, sumBy } from "./select.ts";

const OWN = 'component="ws-gateway"';

export const gateways = dashboard({
  name: "gateways",
  title: "Gateways",
  description: "How clients are served: the fleet, its balance, slow clients, drains.",
  components: "ws-gateway",
  rows: {
    Fleet: [
      figure({
        title: "Pods",
        good: "As many as replicas, of one version but in a rollout.",
        width: 6,
        shows: { "{{version}}": sumBy("version", of("rowcast_build_info", OWN)) },
      }),
      figure({
        title: "Clients",
        good: "As many as are connected now.",
        width: 6,
        shows: { clients: sum(of("rowcast_gateway_sessions")) },
      }),
      figure({
        title: "Subscriptions",
        good: "Live subscriptions, and waiting long polls.",
        width: 6,
        shows: { subscriptions: sum(of("rowcast_gateway_subscriptions")) },
      }),
      figure({
        title: "Imbalance",
        good: "Below 25 %: by how much of its limit the fullest gateway exceeds the emptiest one.",
        alert: "RowcastGatewaysImbalanced",
        unit: "percentunit",
        width: 6,
        bad: { above: 0.25 },
        shows: {
          imbalance: `max(${share("rowcast_gateway_sessions", "rowcast_gateway_sessions_limit")}) - min(${share("rowcast_gateway_sessions", "rowcast_gateway_sessions_limit")})`,
        },
      }),
      graph({
        title: "Clients by gateway",
        good: "Even lines. After a rollout the last pod fills within `gateway.max_connection_age`.",
        alert: "RowcastGatewaysImbalanced",
        shows: { "{{pod}}": sumBy("pod", of("rowcast_gateway_sessions")) },
      }),
      graph({
        title: "Clients by limit",
        good: "Below 85 %. From 95 % on a gateway is unready, so that new clients go to others.",
        alert: "RowcastConnectionsNearLimit",
        unit: "percentunit",
        top: 1,
        shows: { "{{pod}}": share("rowcast_gateway_sessions", "rowcast_gateway_sessions_limit") },
      }),
      timeline({
        title: "Drains",
        good: "A pod drains once, before its end.",
        states: ["drains", "serves"],
        shows: { "{{pod}}": maxBy("pod", of("rowcast_gateway_draining")) },
      }),
      timeline({
        title: "Stale",
        good: "Never: clients are told that readings may be late while no leader is active.",
        alert: "RowcastNoLeader",
        states: ["stale", "live"],
        bad: 1,
        shows: { "{{pod}}": maxBy("pod", of("rowcast_gateway_stale")) },
      }),
    ],
    "What comes in": [
      graph({
        title: "Readings taken",
        good: "Every gateway takes every reading from the stream; from the log only to fill a gap.",
        alert: "RowcastReadingsStopped",
        unit: "cps",
        shows: { "{{source}}, {{pod}}": perSecondBy("pod, source", "rowcast_gateway_taken_readings_total") },
      }),
      graph({
        title: "Behind the stream",
        good: "Near 0; under load the readings of the time between two scrapes.",
        alert: "RowcastGatewayBehind",
        shows: {
          "{{pod}}": `clamp_min(scalar(max(${all("rowcast_listener_stream_head_readings")})) - ${maxBy("pod", of("rowcast_gateway_head_readings"))}, 0)`,
        },
      }),
      graph({
        title: "Losses of the stream, and gaps in it",
        good: "0. A gap is filled from Postgres.",
        unit: "cps",
        shows: {
          "losses, {{pod}}": perSecondBy("pod", "rowcast_gateway_feed_losses_total"),
          "gaps, {{pod}}": perSecondBy("pod", "rowcast_gateway_stream_gaps_total"),
        },
      }),
      graph({
        title: "From tick to feed",
        good: "Milliseconds on every gateway.",
        unit: "s",
        shows: { "99 %, {{pod}}": quantile(0.99, "rowcast_gateway_age_seconds", "pod") },
      }),
    ],
    "What goes out": [
      graph({
        title: "Events",
        good: "What is handed to mailboxes is written a moment later: the lines lie on each other.",
        unit: "cps",
        shows: {
          "handed to mailboxes": perSecond("rowcast_gateway_deliveries_total"),
          written: perSecond("rowcast_gateway_events_written_total"),
        },
      }),
      graph({
        title: "From commit to socket",
        good: "Tens of milliseconds at 99 %, on every gateway. Empty while no client is subscribed.",
        alert: "RowcastReadingsLate",
        unit: "s",
        shows: { "99 %, {{pod}}": quantile(0.99, "rowcast_gateway_event_age_seconds", "pod") },
      }),
      graph({
        title: "Stages",
        good: "Milliseconds. `feed_to_write` is large where clients read slowly.",
        unit: "s",
        shows: { "99 %, {{stage}}": quantile(0.99, "rowcast_gateway_stage_seconds", "stage") },
      }),
      graph({
        title: "Gaps told to clients",
        good: "0, or `retention` for clients that were away for long.",
        alert: "RowcastGapTold",
        unit: "cps",
        shows: { "{{reason}}": perSecondBy("reason", "rowcast_gateway_gaps_told_total") },
      }),
    ],
    "Slow clients": [
      graph({
        title: "Clients behind",
        good: "Few. They read on from the log, so others are not held up.",
        alert: "RowcastSlowClients",
        shows: {
          "behind now, {{pod}}": sumBy("pod", of("rowcast_gateway_behind_sessions")),
        },
      }),
      graph({
        title: "Reads of Postgres",
        good: "Few: resumes within the window read nothing.",
        alert: "RowcastSlowClients",
        unit: "reqps",
        shows: {
          replay: perSecond("rowcast_gateway_replay_reads_total"),
          history: perSecond("rowcast_gateway_history_reads_total"),
          "sessions that fell behind": perSecond("rowcast_gateway_fell_behind_total"),
        },
      }),
      graph({
        title: "Read permits in use",
        good: "Below 100 %. When all are in use, reads wait for each other.",
        unit: "percentunit",
        top: 1,
        shows: {
          "{{kind}}, {{pod}}": `${maxBy("pod, kind", of("rowcast_gateway_read_permits_in_use"))} / ${maxBy("pod, kind", of("rowcast_gateway_read_permits_limit"))}`,
        },
      }),
      graph({
        title: "Bytes held for clients",
        good: "Megabytes. The window fills up to its limit and stays there.",
        alert: "RowcastMemoryNearLimit",
        unit: "bytes",
        shows: {
          "mailboxes, {{pod}}": of("rowcast_gateway_mailbox_bytes"),
          "outboxes, {{pod}}": of("rowcast_gateway_outbox_bytes"),
          "window, {{pod}}": of("rowcast_gateway_window_bytes"),
        },
      }),
      graph({
        title: "Outboxes by limit",
        good: "A few percent. At 100 % the slowest clients are closed.",
        alert: "RowcastSlowClients",
        unit: "percentunit",
        top: 1,
        shows: { "{{pod}}": share("rowcast_gateway_outbox_bytes", "rowcast_gateway_outbox_limit_bytes") },
      }),
      graph({
        title: "Window by limit",
        good: "Up to 100 %: it holds what clients resume from.",
        unit: "percentunit",
        top: 1,
        shows: { "{{pod}}": share("rowcast_gateway_window_bytes", "rowcast_gateway_window_limit_bytes") },
      }),
    ],
    "Coming and going": [
      graph({
        title: "Ends of connections",
        good: "`normal`, `going-away` and `drain` are in order. Much `lost`: something between cuts connections.",
        alert: "RowcastReconnectStorm",
        unit: "cps",
        stacked: true,
        shows: { "{{reason}}": perSecondBy("reason", "rowcast_gateway_closes_total") },
      }),
      graph({
        title: "Connections accepted and refused",
        good: "None is refused.",
        alert: "RowcastConnectionsNearLimit",
        unit: "cps",
        shows: {
          accepted: perSecond("rowcast_http_connections_accepted_total", OWN),
          refused: perSecond("rowcast_http_connections_refused_total", OWN),
        },
      }),
      connections("ws-gateway"),
    ],
    ...processes("ws-gateway"),
  },
});
