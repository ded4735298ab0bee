import { type MissedReadings, useSensors } from "@rowcast/client/react";
import { useState } from "react";

export function Notices() {
  const missed = useSensors((view) => view.missed);
  // Of a token the form tells it.
  const refusal = useSensors(({ error, state }) =>
    state === "unauthorized" ? undefined : error?.message || error?.code,
  );
  const late = useSensors(({ state, stale }) => state === "live" && stale);
  const [dismissed, setDismissed] = useState<ReadonlySet<number>>(new Set());
  return (
    <div aria-live="polite" className="grid gap-2 not-empty:mt-5">
      {late ? (
        <p data-testid="late" className={NOTICE}>
          The gateway receives no new readings at the moment: values may be late.
        </p>
      ) : null}
      {refusal === undefined ? null : <p className={NOTICE}>The server refused: {refusal}</p>}
      {missed
        .filter(({ key }) => !dismissed.has(key))
        .map((one) => (
          <Missed
            key={one.key}
            missed={one}
            dismiss={() => setDismissed((before) => new Set(before).add(one.key))}
          />
        ))}
    </div>
  );
}

const NOTICE = "rounded-xl border border-warn-edge bg-warn-back px-4 py-2.5 text-sm text-warn";

function Missed({ missed, dismiss }: { missed: MissedReadings; dismiss: () => void }) {
  return (
    <div className={`flex items-center justify-between gap-4 ${NOTICE}`}>
      <p data-testid="gap">{missedText(missed)}</p>
      <button
        type="button"
        onClick={dismiss}
        className="cursor-pointer rounded-md px-2 py-1 font-medium underline-offset-2 hover:underline"
      >
        Dismiss
      </button>
    </div>
  );
}

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

function missedText({ from, to, reason }: MissedReadings): string {
  const when =
    from === undefined ? `before ${TIME.format(to)}` : `from ${TIME.format(from)} to ${TIME.format(to)}`;
  return `Some readings ${when} are no longer available (${reason}).`;
}
