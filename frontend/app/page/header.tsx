import type { State } from "@rowcast/client";

const STATUS: Record<State, string> = {
  idle: "🔴 Disconnected",
  connecting: "🔴 Disconnected",
  "catching-up": "🟡 Catching up",
  live: "🟢 Connected",
  reconnecting: "🔴 Disconnected",
  unauthorized: "🔴 Not authorized",
  closed: "🔴 Disconnected",
};

/** Readings may be late without the page noticing, so it must not show "Connected". */
const DELAYED = "🔴 Delayed";

/** The colour, for systems whose fonts lack the emoji. */
function tint(state: State, stale: boolean): string {
  if (state === "catching-up") return "bg-warn-back text-warn";
  return state === "live" && !stale ? "bg-accent-back text-accent" : "bg-bad-back text-bad";
}

export function PageHeader({ state, stale }: { state: State; stale: boolean }) {
  return (
    <header className="flex flex-wrap items-center justify-between gap-x-6 gap-y-3">
      <h1 className="text-2xl font-semibold tracking-tight sm:text-3xl">Real-time Sensor Data</h1>
      <p
        role="status"
        data-testid="status"
        className={`rounded-full px-3.5 py-1.5 text-sm font-medium whitespace-nowrap ${tint(state, stale)}`}
      >
        Status: {state === "live" && stale ? DELAYED : STATUS[state]}
      </p>
    </header>
  );
}
