/** Expressions on the series of the chosen installation. */

const INSTALLATION = 'namespace="$namespace",release="$release"';
const INSTANCES = `${INSTALLATION},pod=~"$instance"`;

/** A metric of the installation, whatever the chosen instances. */
export const all = (metric: string, more = "") => `${metric}{${selector(INSTALLATION, more)}}`;

/** A metric of the chosen instances. */
export const of = (metric: string, more = "") => `${metric}{${selector(INSTANCES, more)}}`;

/** How fast a counter rises, in all. */
export const perSecond = (metric: string, more = "") => sum(`rate(${of(metric, more)}[$__rate_interval])`);

/** How fast a counter rises, for each value of a label. */
export const perSecondBy = (label: string, metric: string, more = "") =>
  sumBy(label, `rate(${of(metric, more)}[$__rate_interval])`);

/** By how much a counter rose within the shown time. */
export const counted = (metric: string, more = "") =>
  `round(${sum(`increase(${all(metric, more)}[$__range])`)})`;

/** A quantile of a histogram. */
export const quantile = (part: number, histogram: string, by = "", more = "") =>
  `histogram_quantile(${part}, ${sumBy(by ? `le, ${by}` : "le", `rate(${of(`${histogram}_bucket`, more)}[$__rate_interval])`)})`;

export const sum = (expression: string) => `sum(${expression})`;
export const sumBy = (label: string, expression: string) => `sum by (${label}) (${expression})`;
export const maxBy = (label: string, expression: string) => `max by (${label}) (${expression})`;
export const minBy = (label: string, expression: string) => `min by (${label}) (${expression})`;

/** A part of a limit, for each pod; none where there is no limit. */
export const share = (used: string, limit: string, more = "") =>
  `${maxBy("pod", of(used, more))} / (${maxBy("pod", of(limit, more))} > 0)`;

/** Zero where there is no such series, such as that of a status that was never answered. */
export const orZero = (expression: string) => `${expression} or vector(0)`;

function selector(fixed: string, more: string): string {
  return more ? `${fixed},${more}` : fixed;
}
