import { type SensorReading, useSensor, useSensors } from "@rowcast/client/react";
import { memo } from "react";
import { ageMs, ageText, isStale } from "../board/age";
import { isRealtime, useClock } from "../board/hooks";

/**
 * Rows are grids, not table rows, so that the browser can skip rows outside of the viewport: laying out a table of a
 * thousand rows took 40 % of a core. The roles restore what `display` removes for screen readers.
 */
const COLUMNS = "grid grid-cols-[minmax(0,1fr)_8rem_7rem]";

export function SensorTable() {
  const sensors = useSensors(({ ids }) => ids);
  const live = useSensors(isRealtime);
  if (sensors.length === 0) return null;
  return (
    <section
      aria-labelledby="sensors"
      // CSS dims the rows by this attribute, so that a lost connection does not render all of them again.
      data-live={live}
      className="group overflow-hidden rounded-2xl border border-edge bg-card shadow-sm"
    >
      <div className="flex items-baseline justify-between px-5 pt-4 pb-3">
        <h2 id="sensors" className="text-sm font-medium text-soft">
          Sensors
        </h2>
        <span className="text-sm text-soft tabular-nums">{sensors.length}</span>
      </div>
      <table role="table" className="block text-sm">
        <thead role="rowgroup" className="block">
          <tr role="row" className={`${COLUMNS} border-y border-edge text-left text-xs text-soft`}>
            <th role="columnheader" scope="col" className="py-2 pr-2 pl-5 font-medium">
              Sensor
            </th>
            <th role="columnheader" scope="col" className="px-2 py-2 text-right font-medium">
              Value
            </th>
            <th role="columnheader" scope="col" className="py-2 pr-5 pl-2 text-right font-medium">
              Age
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup" className="block">
          {sensors.map((sensor) => (
            <SensorRow key={sensor} sensor={sensor} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

const SensorRow = memo(function SensorRow({ sensor }: { sensor: string }) {
  const row = useSensor(sensor);
  return row ? <Cells row={row} /> : null;
});

function Cells({ row }: { row: SensorReading }) {
  const { sensor_id: sensor, value } = row.reading;
  const stale = useClock((now) => isStale(row, now));
  return (
    <tr
      role="row"
      data-testid="sensor-row"
      data-sensor={sensor}
      data-stale={stale}
      className={`${COLUMNS} border-b border-edge [contain-intrinsic-size:auto_41px] [content-visibility:auto] last:border-0 group-data-[live=false]:text-soft data-[stale=true]:text-soft`}
    >
      <th
        role="rowheader"
        scope="row"
        title={sensor}
        className="truncate py-2.5 pr-2 pl-5 text-left font-normal"
      >
        {sensor}
      </th>
      <td
        role="cell"
        data-testid="sensor-value"
        title={String(value)}
        className="truncate px-2 py-2.5 text-right font-medium tabular-nums"
      >
        {String(value)}
      </td>
      <AgeCell row={row} />
    </tr>
  );
}

/** A component of its own: it changes every second, the row does not. */
function AgeCell({ row }: { row: SensorReading }) {
  const age = useClock((now) => ageText(ageMs(row, now)));
  return (
    <td role="cell" className="py-2.5 pr-5 pl-2 text-right whitespace-nowrap text-soft tabular-nums">
      {age}
    </td>
  );
}
