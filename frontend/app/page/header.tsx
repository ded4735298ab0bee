import type { ClientState } from "../live/client";

const STATUS: Record<ClientState, string> = {
  connecting: "🔴 Disconnected",
  "catching-up": "🟡 Catching up",
  live: "🟢 Connected",
  reconnecting: "🔴 Disconnected",
  closed: "🔴 Disconnected",
};

/** Beside the sign, for systems without a font that has it. */
function tint(state: ClientState): string {
  if (state === "live") return "bg-accent-back text-accent";
  if (state === "catching-up") return "bg-warn-back text-warn";
  return "bg-bad-back text-bad";
}

export function PageHeader({ state }: { state: ClientState }) {
  return (
    <header className="flex flex-wrap items-center justify-between gap-x-6 gap-y-3">
      <h1 className="text-2xl font-semibold tracking-tight sm:text-3xl">Real-time Sensor Data</h1>
      <p
        role="status"
        data-testid="status"
        className={`rounded-full px-3.5 py-1.5 text-sm font-medium whitespace-nowrap ${tint(state)}`}
      >
        Status: {STATUS[state]}
      </p>
    </header>
  );
}
