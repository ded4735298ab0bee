/** Panels as Rowcast's dashboards use them. */

import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import * as common from "@grafana/grafana-foundation-sdk/common";
import {
  DashboardLinkBuilder,
  DashboardLinkType,
  FieldColorBuilder,
  FieldColorModeId,
  MappingType,
  type Panel,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TimelineBuilder } from "@grafana/grafana-foundation-sdk/statetimeline";
import { PanelBuilder as GraphBuilder } from "@grafana/grafana-foundation-sdk/timeseries";

/** What every panel says of itself. */
interface About {
  title: string;
  /** What it shows, and what good looks like. */
  good: string;
  /** The alert that watches the same, whose runbook is linked. */
  alert?: string;
  /** Grafana's name of the unit. */
  unit?: string;
  /** Expressions by their legend; `{{label}}` in it is a label's value. */
  shows: Record<string, string>;
}

export interface Graph extends About {
  /** In columns of 24. */
  width?: number;
  /** The upper end of the axis, at least. */
  top?: number;
  /** Whether the values are parts of a whole. */
  stacked?: boolean;
}

export interface Figure extends About {
  width?: number;
  decimals?: number;
  /** From which value on it is bad, or below which. */
  bad?: { above: number } | { below: number };
  /** The other side of what is good, beside `bad`. */
  alsoBad?: { above: number };
}

export interface Timeline extends About {
  width?: number;
  /** The words for 1 and 0. */
  states: [string, string];
  /** The state that is not good, if one is. */
  bad?: 0 | 1;
}

const DATA_SOURCE = { type: "prometheus", uid: "$datasource" };

type Described = { title(text: string): unknown; description(text: string): unknown } & {
  datasource(source: typeof DATA_SOURCE): unknown;
  links(links: DashboardLinkBuilder[]): unknown;
  withTarget(target: DataqueryBuilder): unknown;
  span(width: number): unknown;
  height(height: number): unknown;
};

/** Lines over time. */
export function graph(it: Graph): Builder<Panel> {
  const panel = new GraphBuilder()
    .unit(it.unit ?? "short")
    .min(0)
    .lineWidth(1)
    .fillOpacity(it.stacked ? 30 : 5)
    .showPoints(common.VisibilityMode.Never)
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true),
    )
    .tooltip(
      new common.VizTooltipOptionsBuilder()
        .mode(common.TooltipDisplayMode.Multi)
        .sort(common.SortOrder.Descending),
    );
  if (it.top !== undefined) panel.axisSoftMax(it.top);
  if (it.stacked) panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal));
  return describe(panel, it, it.width ?? 12, 8);
}

/** One number for each expression, over the shown time or of now. */
export function figure(it: Figure): Builder<Panel> {
  const panel = new StatBuilder()
    .unit(it.unit ?? "short")
    .graphMode(common.BigValueGraphMode.None)
    .colorMode(it.bad ? common.BigValueColorMode.Background : common.BigValueColorMode.None)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(false))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps(it)));
  if (it.decimals !== undefined) panel.decimals(it.decimals);
  return describe(panel, it, it.width ?? 4, 5, true);
}

/** States over time, a line for each series. */
export function timeline(it: Timeline): Builder<Panel> {
  const colour = (state: 0 | 1) => (it.bad === state ? "red" : state === 1 ? "green" : "text");
  const panel = new TimelineBuilder()
    .mergeValues(true)
    .showValue(common.VisibilityMode.Never)
    .fillOpacity(80)
    .lineWidth(0)
    .mappings([
      {
        type: MappingType.ValueToText,
        options: {
          "1": { text: it.states[0], color: colour(1), index: 0 },
          "0": { text: it.states[1], color: colour(0), index: 1 },
        },
      },
    ])
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds));
  return describe(panel, it, it.width ?? 12, 8);
}

function describe<P extends Described>(panel: P, it: About, width: number, height: number, now = false): P {
  panel.title(it.title);
  panel.description(it.alert ? `${it.good}\n\nAlert: ${it.alert}` : it.good);
  panel.datasource(DATA_SOURCE);
  panel.span(width);
  panel.height(height);
  if (it.alert) panel.links([runbook(it.alert)]);
  Object.entries(it.shows).forEach(([legend, expression], index) => {
    const query = new DataqueryBuilder()
      .expr(expression)
      .legendFormat(legend)
      .refId(String.fromCharCode("A".charCodeAt(0) + index))
      .datasource(DATA_SOURCE);
    panel.withTarget(now ? query.instant() : query.range());
  });
  return panel;
}

function runbook(alert: string): DashboardLinkBuilder {
  return new DashboardLinkBuilder(`Runbook: ${alert}`)
    .type(DashboardLinkType.Link)
    .url(`\${runbooks}/${alert}.md`)
    .targetBlank(true);
}

function steps({ bad, alsoBad }: Figure): Threshold[] {
  const step = (value: number | null, color: string) => ({ value, color });
  if (bad === undefined) return [step(null, "text")];
  if ("above" in bad) return [step(null, "green"), step(bad.above, "red")];
  const low = [step(null, "red"), step(bad.below, "green")];
  return alsoBad ? [...low, step(alsoBad.above, "red")] : low;
}
