/** How readings come in. */

import { dashboard } from "./frame.ts";
import { figure, graph } from "./panels.ts";
import { connections, processes } from "./process.ts";
import { of, perSecond, perSecondBy, quantile, share, sumBy } from "./select.ts";

const REQUESTS = "rowcast_http_request_duration_seconds";
const POSTS = 'component="ingest",method="POST"';

export const ingest = dashboard({
  name: "ingest",
  title: "Ingest",
  description: "How readings come in: requests, batches, and what they wait for.",
  components: "ingest",
  rows: {
    Requests: [
      graph({
        title: "Readings committed",
        good: "What the devices send.",
        unit: "cps",
        shows: { "{{pod}}": perSecondBy("pod", "rowcast_ingest_readings_total") },
      }),
      graph({
        title: "POSTs by outcome",
        good: "`stored` only. `refused_data` is a fault of the sender, `full` and `unavailable` are ours.",
        alert: "RowcastPostsFail",
        unit: "reqps",
        stacked: true,
        shows: { "{{outcome}}": perSecondBy("outcome", "rowcast_ingest_requests_total") },
      }),
      graph({
        title: "Time to the answer",
        good: "The time of a commit: milliseconds. Empty while nobody POSTs.",
        unit: "s",
        shows: {
          "50 %": quantile(0.5, REQUESTS, "", POSTS),
          "99 %": quantile(0.99, REQUESTS, "", POSTS),
        },
      }),
      graph({
        title: "Answers by status",
        good: "201 only.",
        alert: "RowcastPostsFail",
        unit: "reqps",
        stacked: true,
        shows: { "{{status}}": perSecondBy("status", `${REQUESTS}_count`, 'component="ingest"') },
      }),
    ],
    "The way into Postgres": [
      graph({
        title: "Queue",
        good: "Nearly empty. When it is full, POSTs are refused with 503.",
        alert: "RowcastIngestQueueFilling",
        unit: "percentunit",
        top: 1,
        shows: { "{{pod}}": share("rowcast_ingest_queue_bytes", "rowcast_ingest_queue_limit_bytes") },
      }),
      graph({
        title: "Lanes in use",
        good: "Below 100 %, with room for peaks. All busy all the time: Postgres sets the pace.",
        unit: "percentunit",
        top: 1,
        shows: { "{{pod}}": share("rowcast_ingest_lanes_busy", "rowcast_ingest_lanes") },
      }),
      graph({
        title: "Commit",
        good: "Milliseconds: a flush of the write-ahead log.",
        alert: "RowcastIngestQueueFilling",
        unit: "s",
        shows: {
          "50 %": quantile(0.5, "rowcast_ingest_commit_seconds"),
          "99 %": quantile(0.99, "rowcast_ingest_commit_seconds"),
        },
      }),
      graph({
        title: "Readings in each INSERT",
        good: "1 at low load; it grows with the load, which is what keeps commits few.",
        shows: {
          mean: `${perSecond("rowcast_ingest_batch_readings_sum")} / ${perSecond("rowcast_ingest_batch_readings_count")}`,
        },
      }),
    ],
    Connections: [
      graph({
        title: "Connections accepted and refused",
        good: "Devices that keep their connection are few here. None is refused.",
        alert: "RowcastConnectionsNearLimit",
        unit: "cps",
        shows: {
          accepted: perSecond("rowcast_http_connections_accepted_total", 'component="ingest"'),
          refused: perSecond("rowcast_http_connections_refused_total", 'component="ingest"'),
        },
      }),
      graph({
        title: "Connections that exceeded a deadline",
        good: "Few: `idle` is normal, others are slow or hostile peers.",
        unit: "cps",
        shows: {
          "{{deadline}}": perSecondBy(
            "deadline",
            "rowcast_http_connections_overdue_total",
            'component="ingest"',
          ),
        },
      }),
      connections("ingest"),
      figure({
        title: "Pods",
        good: "As many as replicas, of one version.",
        width: 12,
        shows: { "{{version}}": sumBy("version", of("rowcast_build_info", 'component="ingest"')) },
      }),
    ],
    ...processes("ingest"),
  },
});
