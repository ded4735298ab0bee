/** Hooks of the page beside the client's: one shared clock, the person's token, and the ledger for the test. */

import { RowcastClient } from "@rowcast/client";
import type { SensorsView } from "@rowcast/client/react";
import { RowcastProvider } from "@rowcast/client/react";
import { createContext, type ReactNode, useContext, useEffect, useState, useSyncExternalStore } from "react";
import { useHref, useSearchParams } from "react-router";
import { Access, type Asked } from "./access";
import { Clock } from "./clock";
import { isShownBeside } from "./hidden";
import { Ledger } from "./ledger";

declare global {
  interface Window {
    /** For the end-to-end test, which checks that no reading is missing or duplicated after a disconnect. */
    __rowcast?: { ids: number[] };
  }
}

/** Below the page's prefix. */
const SOCKET_PATH = "/ws/sensors/";

interface Page {
  clock: Clock;
  ledger: Ledger;
  access: Access;
  client: RowcastClient;
}

const PageContext = createContext<Page | undefined>(undefined);

/** Subscribes to the gateway that served the page while the component is mounted. */
export function Page({ children }: { children: ReactNode }) {
  const [address] = useSearchParams();
  const url = useHref(SOCKET_PATH);
  const [page] = useState(() => newPage(url, address.has("token")));
  useEffect(() => {
    window.__rowcast = { ids: page.ledger.ids };
  }, [page]);
  return (
    <PageContext value={page}>
      <RowcastProvider
        client={page.client}
        onEvent={page.ledger.note}
        shows={isShownBeside(address.get("hide"))}
      >
        {children}
      </RowcastProvider>
    </PageContext>
  );
}

/** The client ends its connection by itself when nothing is subscribed. With `?token` in its address the page asks first. */
function newPage(url: string, asksFirst: boolean): Page {
  const access = new Access(asksFirst);
  const client = new RowcastClient({ url, token: access.ask });
  return { clock: new Clock(Date.now), ledger: new Ledger(), access, client };
}

function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("this component needs a Page around it");
  return page;
}

export function useLedger(): Ledger {
  return usePage().ledger;
}

/** Why the page asks for a token, while it does. */
export function useAsked(): Asked | undefined {
  const { access } = usePage();
  return useSyncExternalStore(access.onAsked, access.asked, access.asked);
}

/** Gives a token to the gateway, at once. */
export function useGiveToken(): (token: string) => void {
  const { access, client } = usePage();
  return (token) => {
    access.give(token);
    client.wake();
  };
}

/** Renders again only when the value that is read from the clock changes. */
export function useClock<T extends string | boolean>(read: (now: number) => T): T {
  const { clock } = usePage();
  return useSyncExternalStore(clock.onTick, () => read(clock.now()));
}

/** Whether readings are shown as soon as they are stored: live, and not reported as late by the gateway. */
export function isRealtime({ state, stale }: SensorsView): boolean {
  return state === "live" && !stale;
}
