/** What the page adds to the client's hooks: a clock that ticks for all of it, and the ledger for the test. */

import type { SensorsView } from "@rowcast/client/react";
import { RowcastProvider } from "@rowcast/client/react";
import { createContext, type ReactNode, useContext, useEffect, useState, useSyncExternalStore } from "react";
import { useHref } from "react-router";
import { Clock } from "./clock";
import { Ledger } from "./ledger";

declare global {
  interface Window {
    /** For the end-to-end test, which must show that no reading is missing or doubled after a cut. */
    __rowcast?: { ids: number[] };
  }
}

/** Below the page's own prefix. */
const SOCKET_PATH = "/ws/sensors/";

interface Page {
  clock: Clock;
  ledger: Ledger;
}

const PageContext = createContext<Page | undefined>(undefined);

/** Follows the gateway that served the page for as long as the component is there. */
export function Page({ children }: { children: ReactNode }) {
  const [page] = useState(() => ({ clock: new Clock(Date.now), ledger: new Ledger() }));
  useEffect(() => {
    window.__rowcast = { ids: page.ledger.ids };
  }, [page]);
  return (
    <PageContext value={page}>
      <RowcastProvider url={useHref(SOCKET_PATH)} onEvent={page.ledger.note}>
        {children}
      </RowcastProvider>
    </PageContext>
  );
}

function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("no page around this component");
  return page;
}

export function useLedger(): Ledger {
  return usePage().ledger;
}

/** Rendered anew only when what is read off the clock changes. */
export function useClock<T extends string | boolean>(read: (now: number) => T): T {
  const { clock } = usePage();
  return useSyncExternalStore(clock.onTick, () => read(clock.now()));
}

/** What arrives is shown the moment it is stored: we are live, and the gateway does not itself say that it is late. */
export function isRealtime({ state, stale }: SensorsView): boolean {
  return state === "live" && !stale;
}
