import { type SensorReading, useSensors } from "@rowcast/client/react";
import { ageMs, ageText } from "../board/age";
import { isRealtime, useClock } from "../board/hooks";

export function LatestCard() {
  const latest = useSensors(({ latest }) => latest);
  return latest ? <Latest row={latest} /> : null;
}

function Latest({ row }: { row: SensorReading }) {
  const { reading } = row;
  return (
    <section
      aria-labelledby="latest"
      className="rounded-2xl border border-edge bg-card p-5 shadow-sm sm:p-6 lg:sticky lg:top-6"
    >
      <div className="flex items-center justify-between gap-4">
        <h2 id="latest" className="text-sm font-medium text-soft">
          Latest reading
        </h2>
        <Badge snapshot={row.snapshot} />
      </div>
      <p data-testid="latest-sensor" className="mt-4 text-lg font-medium break-words">
        {reading.sensor_id}
      </p>
      <p
        data-testid="latest-value"
        className="mt-1 text-5xl font-semibold tracking-tight break-words tabular-nums"
      >
        {String(reading.value)}
      </p>
      <p className="mt-3 flex flex-wrap gap-x-2 text-sm text-soft tabular-nums">
        <time dateTime={reading.timestamp}>{localTime(reading.timestamp)}</time>
        <span aria-hidden="true">·</span>
        <Age row={row} />
      </p>
      <Metadata metadata={reading.metadata} />
    </section>
  );
}

function Badge({ snapshot }: { snapshot: boolean }) {
  const realtime = useSensors(isRealtime) && !snapshot;
  return (
    <span
      data-testid="badge"
      className={`rounded-full px-2.5 py-1 text-xs font-semibold ${
        realtime ? "bg-accent-back text-accent" : "bg-quiet-back text-soft"
      }`}
    >
      {realtime ? "Realtime" : "Cache"}
    </span>
  );
}

function Age({ row }: { row: SensorReading }) {
  return <span>{useClock((now) => ageText(ageMs(row, now)))}</span>;
}

function Metadata({ metadata }: { metadata: unknown }) {
  if (isEmpty(metadata)) return null;
  return (
    <section aria-label="Metadata" className="mt-5">
      <h3 className="text-xs font-medium text-soft">Metadata</h3>
      <pre
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable element must be reachable by keyboard
        tabIndex={0}
        className="mt-1.5 max-h-64 overflow-auto rounded-lg bg-quiet-back p-3 font-mono text-xs break-words whitespace-pre-wrap"
      >
        {JSON.stringify(metadata, null, 2)}
      </pre>
    </section>
  );
}

function isEmpty(metadata: unknown): boolean {
  if (metadata === undefined || metadata === null) return true;
  return typeof metadata === "object" && !Array.isArray(metadata) && Object.keys(metadata).length === 0;
}

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function localTime(timestamp: string): string {
  const time = Date.parse(timestamp);
  return Number.isNaN(time) ? timestamp : TIME.format(time);
}
