import type { ReactNode } from "react";
import { PageProvider, useGateway, useHead } from "../board/hooks";
import { EmptyState } from "../page/empty";
import { PageHeader } from "../page/header";
import { LatestCard } from "../page/latest";
import { Notices } from "../page/notices";
import { SensorTable } from "../page/sensors";

export default function Index() {
  return (
    <PageProvider value={useGateway()}>
      <Header />
      <Notices />
      <Main>
        <EmptyState />
        <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,2fr)_minmax(0,3fr)]">
          <LatestCard />
          <SensorTable />
        </div>
      </Main>
    </PageProvider>
  );
}

function Header() {
  return <PageHeader state={useHead((head) => head.state)} />;
}

/** Shows the counters to tests; what is inside is not rendered again with them. */
function Main({ children }: { children: ReactNode }) {
  const { received, duplicates, gaps } = useHead((head) => head.counters);
  return (
    <main className="mt-6" data-received={received} data-duplicates={duplicates} data-gaps={gaps}>
      {children}
    </main>
  );
}
