/** The two objectives, and how fast their budgets burn. */

import { dashboard } from "./frame.ts";
import { figure, graph } from "./panels.ts";
import { all, orZero, sum } from "./select.ts";

const WINDOWS = ["5m", "1h", "6h", "3d"];

interface Objective {
  /** The part that must be good. */
  part: number;
  /** What is good, in words. */
  words: string;
  alert: string;
  /** The recorded ratio of what is not good, without its window. */
  recorded: string;
  /** How many are bad within a range, and of how many. */
  bad(range: string): string;
  total(range: string): string;
}

const rise = (metric: string, more: string, range: string) => sum(`increase(${all(metric, more)}[${range}])`);

const AGES = "rowcast_gateway_event_age_seconds";
const events: Objective = {
  part: 0.999,
  words: "99.9 % of the events are written within 1 s of their commit",
  alert: "RowcastReadingsLate",
  recorded: "release:rowcast_events_late:ratio_rate",
  bad: (range) => `(${rise(`${AGES}_count`, "", range)} - ${rise(`${AGES}_bucket`, 'le=~"1|1.0"', range)})`,
  total: (range) => rise(`${AGES}_count`, "", range),
};

const ANSWERS = "rowcast_http_request_duration_seconds_count";
const POSTS = 'component="ingest",method="POST"';
const posts: Objective = {
  part: 0.9995,
  words: "99.95 % of the POSTs are answered without 5xx",
  alert: "RowcastPostsFail",
  recorded: "release:rowcast_posts_failed:ratio_rate",
  bad: (range) => `(${orZero(rise(ANSWERS, `${POSTS},status=~"5.."`, range))})`,
  total: (range) => rise(ANSWERS, POSTS, range),
};

function panels({ part, words, alert, recorded, bad, total }: Objective) {
  const spent = `${bad("$__range")} / ${total("$__range")} / (1 - ${part})`;
  const burn = Object.fromEntries(
    WINDOWS.map((window) => [window, `${all(recorded + window)} / (1 - ${part})`]),
  );
  return [
    figure({
      title: "Good",
      good: `At least the objective: ${words}. Over the shown time; empty while there were none.`,
      alert,
      unit: "percentunit",
      decimals: 4,
      width: 6,
      bad: { below: part },
      shows: { good: `1 - ${bad("$__range")} / ${total("$__range")}` },
    }),
    figure({
      title: "Budget spent",
      good: "Below 100 % of what may be bad within the shown time. Choose 30 days to see that of the objective.",
      alert,
      unit: "percentunit",
      decimals: 1,
      width: 6,
      bad: { above: 1 },
      shows: { spent },
    }),
    figure({
      title: "Bad",
      good: "How many, within the shown time.",
      alert,
      width: 6,
      shows: { bad: `round(${bad("$__range")})` },
    }),
    figure({
      title: "All",
      good: "How many, within the shown time.",
      width: 6,
      shows: { all: `round(${total("$__range")})` },
    }),
    graph({
      title: "How fast the budget burns",
      good: "Below 1: the budget lasts. 14.4 for an hour, or 6 for six hours, is an alert. Empty where this Prometheus does not record the rules.",
      alert,
      unit: "none",
      width: 24,
      shows: burn,
    }),
  ];
}

export const objectives = dashboard({
  name: "objectives",
  title: "SLO",
  description: "The two objectives, and how fast their error budgets burn.",
  components: "ingest|ws-gateway",
  rows: {
    "Events in time": panels(events),
    "POSTs answered": panels(posts),
  },
});
