/** Whether all is well. */

import { dashboard } from "./frame.ts";
import { leaders } from "./leaders.ts";
import { figure, graph, timeline } from "./panels.ts";
import { all, counted, maxBy, minBy, of, orZero, perSecond, quantile, sum, sumBy } from "./select.ts";

const POSTS = 'component="ingest",method="POST"';
const IN_TIME = 'le=~"1|1.0"';

const increase = (metric: string, more = "") => sum(`increase(${all(metric, more)}[$__range])`);

export const overview = dashboard({
  name: "overview",
  title: "Overview",
  description: "Whether every reading arrives, once, in order and in time.",
  components: "ingest|notify-listener|ws-gateway",
  rows: {
    "Is all well?": [
      leaders("RowcastNoLeader"),
      figure({
        title: "Events within 1 s",
        good: "At least 99.9 % of the events are written within a second of their commit. Empty while no client is subscribed.",
        alert: "RowcastReadingsLate",
        unit: "percentunit",
        decimals: 3,
        bad: { below: 0.999 },
        shows: {
          "in time": `${increase("rowcast_gateway_event_age_seconds_bucket", IN_TIME)} / ${increase("rowcast_gateway_event_age_seconds_count")}`,
        },
      }),
      figure({
        title: "POSTs without 5xx",
        good: "At least 99.95 %. Empty while nobody POSTs.",
        alert: "RowcastPostsFail",
        unit: "percentunit",
        decimals: 3,
        bad: { below: 0.9995 },
        shows: {
          answered: `1 - (${orZero(increase("rowcast_http_request_duration_seconds_count", `${POSTS},status=~"5.."`))}) / ${increase("rowcast_http_request_duration_seconds_count", POSTS)}`,
        },
      }),
      figure({
        title: "Audit mismatches",
        good: "0. Each gateway compares the readings that it took with the running count of the log.",
        alert: "RowcastAuditMismatch",
        bad: { above: 1 },
        shows: { mismatches: counted("rowcast_gateway_audit_mismatch_total") },
      }),
      figure({
        title: "Gaps but for retention",
        good: "0, but after a restored backup.",
        alert: "RowcastGapTold",
        bad: { above: 1 },
        shows: { gaps: counted("rowcast_gateway_gaps_told_total", 'reason!="retention"') },
      }),
      figure({
        title: "Alerts",
        good: "0 firing. It is 0 also where this Prometheus has no rules.",
        bad: { above: 1 },
        shows: {
          firing:
            'count(ALERTS{alertstate="firing",alertname=~"Rowcast.*",namespace="$namespace",release="$release"}) or vector(0)',
        },
      }),
    ],
    "How fresh is it?": [
      graph({
        title: "From commit to socket",
        good: "Tens of milliseconds at 99 %. Only clients that follow live count, not what a client resumes.",
        alert: "RowcastReadingsLate",
        unit: "s",
        shows: {
          "50 %": quantile(0.5, "rowcast_gateway_event_age_seconds"),
          "99 %": quantile(0.99, "rowcast_gateway_event_age_seconds"),
          "99.9 %": quantile(0.999, "rowcast_gateway_event_age_seconds"),
        },
      }),
      graph({
        title: "Where a reading waits",
        good: "99 % of each stage is milliseconds. The largest line is what to look at.",
        unit: "s",
        shows: {
          "{{stage}}": quantile(0.99, "rowcast_listener_stage_seconds", "stage"),
          "{{stage}} ": quantile(0.99, "rowcast_gateway_stage_seconds", "stage"),
        },
      }),
    ],
    "Is anything lost?": [
      graph({
        title: "Readings on their way",
        good: "The lines lie on each other: what is committed is ticked, appended and taken. More is ticked than committed where others write to the table.",
        alert: "RowcastReadingsStopped",
        unit: "cps",
        shows: {
          "committed by ingest": perSecond("rowcast_ingest_readings_total"),
          ticked: perSecond("rowcast_listener_ticked_readings_total"),
          appended: perSecond("rowcast_listener_readings_total"),
          "taken, mean of the gateways":
            'avg(sum by (pod) (rate(rowcast_gateway_taken_readings_total{namespace="$namespace",release="$release"}[$__rate_interval])))',
        },
      }),
      graph({
        title: "Readings that wait",
        good: "Near 0. A peak after an outage that falls is well; one that grows is not. Scrapes are of different moments, so under load some hundreds are shown that do not wait.",
        alert: "RowcastBacklogGrows",
        shows: {
          "for the leader": `max(${all("rowcast_listener_backlog_readings")})`,
          "for the slowest gateway": `clamp_min(max(${all("rowcast_listener_stream_head_readings")}) - min(${all("rowcast_gateway_head_readings")}), 0)`,
        },
      }),
      graph({
        title: "Readings audited",
        good: "As many as are taken.",
        alert: "RowcastAuditMismatch",
        unit: "cps",
        shows: {
          checked: perSecond("rowcast_gateway_audit_checked_total"),
          mismatches: perSecond("rowcast_gateway_audit_mismatch_total"),
        },
      }),
      graph({
        title: "Canary: there and back",
        good: "Tens of milliseconds, for each gateway that it follows. Empty unless the canary is enabled; it is off by default.",
        alert: "RowcastCanaryFailing",
        unit: "s",
        shows: {
          "99 %, {{gateway}}": `histogram_quantile(0.99, ${sumBy("le, gateway", `rate(${all("rowcast_canary_round_trip_seconds_bucket")}[$__rate_interval])`)})`,
        },
      }),
    ],
    "Who does what?": [
      timeline({
        title: "Leader",
        good: "One green line at each moment, with few changes.",
        alert: "RowcastLeaderFlapping",
        states: ["leads", "stands by"],
        shows: { "{{pod}}": maxBy("pod", all("rowcast_listener_leading")) },
      }),
      timeline({
        title: "Ready",
        good: "Green, but for pods that start or end.",
        alert: "RowcastConditionFails",
        states: ["ready", "not ready"],
        bad: 0,
        shows: { "{{pod}}": minBy("pod", of("rowcast_ready")) },
      }),
      graph({
        title: "Events written",
        good: "Readings times the subscriptions that want each.",
        unit: "cps",
        shows: { events: perSecond("rowcast_gateway_events_written_total") },
      }),
      graph({
        title: "Clients",
        good: "Spread evenly over the gateways.",
        alert: "RowcastGatewaysImbalanced",
        stacked: true,
        shows: { "{{pod}}": sumBy("pod", of("rowcast_gateway_sessions")) },
      }),
    ],
  },
});
