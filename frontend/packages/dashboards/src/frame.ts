/** What all dashboards have in common: variables, links, and rows of panels. */

import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  ConstantVariableBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  VariableHide,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";

/** The chart puts the address of `runbookUrl` in its place. */
const RUNBOOKS = "docs/runbooks";
const TAG = "rowcast";

export interface Page {
  /** The end of its address and of its file's name. */
  name: string;
  title: string;
  description: string;
  /** The values of the label `component` whose instances can be chosen, as a regular expression. */
  components: string;
  rows: Record<string, Builder<Panel>[]>;
}

export function dashboard(page: Page): Dashboard {
  const builder = new DashboardBuilder(`Rowcast / ${page.title}`)
    .uid(`rowcast-${page.name}`)
    .description(page.description)
    .tags([TAG])
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: "now-1h", to: "now" })
    .refresh("30s")
    .timezone("browser")
    .link(
      new DashboardLinkBuilder("Rowcast")
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .includeVars(true)
        .keepTime(true),
    );
  for (const variable of variables(page.components)) builder.withVariable(variable);
  for (const [title, panels] of Object.entries(page.rows)) {
    builder.withRow(new RowBuilder(title));
    for (const panel of panels) builder.withPanel(panel);
  }
  return builder.build();
}

function variables(components: string) {
  const query = (name: string, label: string, from: string) =>
    new QueryVariableBuilder(name)
      .label(label)
      .query(from)
      .datasource({ type: "prometheus", uid: "$datasource" })
      .refresh(VariableRefresh.OnTimeRangeChanged)
      .sort(VariableSort.AlphabeticalAsc);
  const own = 'namespace="$namespace",release="$release"';
  return [
    new DatasourceVariableBuilder("datasource").label("Data source").type("prometheus"),
    query("namespace", "Namespace", "label_values(rowcast_build_info, namespace)"),
    query("release", "Release", 'label_values(rowcast_build_info{namespace="$namespace"}, release)'),
    query("instance", "Instance", `label_values(rowcast_build_info{${own},component=~"${components}"}, pod)`)
      .multi(true)
      .includeAll(true)
      .allValue(".*"),
    runbooks,
  ];
}

/** Never shown: the builder of a constant cannot say so. */
const runbooks = {
  build: () => ({
    ...new ConstantVariableBuilder("runbooks").value(RUNBOOKS).build(),
    hide: VariableHide.HideVariable,
  }),
};
