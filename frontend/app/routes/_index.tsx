import { useSensors } from "@rowcast/client/react";
import type { ReactNode } from "react";
import { Page, useLedger } from "../board/hooks";
import { EmptyState } from "../page/empty";
import { PageHeader } from "../page/header";
import { LatestCard } from "../page/latest";
import { Notices } from "../page/notices";
import { SensorTable } from "../page/sensors";
import { TokenForm } from "../page/token";

export default function Index() {
  return (
    <Page>
      <Header />
      <Notices />
      <Main>
        <TokenForm />
        <EmptyState />
        <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,2fr)_minmax(0,3fr)]">
          <LatestCard />
          <SensorTable />
        </div>
      </Main>
    </Page>
  );
}

function Header() {
  const state = useSensors((view) => view.state);
  const stale = useSensors((view) => view.stale);
  return <PageHeader state={state} stale={stale} />;
}

/** Exposes the counters to tests; the children are not rendered again when they change. */
function Main({ children }: { children: ReactNode }) {
  const { received, doubles, gaps } = useSensors();
  const { duplicates } = useLedger();
  return (
    <main className="mt-6" data-received={received} data-duplicates={doubles + duplicates} data-gaps={gaps}>
      {children}
    </main>
  );
}
