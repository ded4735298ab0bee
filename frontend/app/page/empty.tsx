import { useSensors } from "@rowcast/client/react";
import { useRef, useState } from "react";
import { useHref } from "react-router";
import { curlCommand, ingestBase, ingestMeta } from "./ingest";

export function EmptyState() {
  const empty = useSensors(({ latest, state }) => latest === undefined && state !== "unauthorized");
  return empty ? <Waiting /> : null;
}

function Waiting() {
  // Without the slash at its end: the path that is appended begins with one.
  const origin = window.location.origin + useHref("/").replace(/\/$/, "");
  const command = curlCommand(ingestBase(ingestMeta(), origin));
  return (
    <section
      data-testid="empty"
      aria-labelledby="empty"
      className="rounded-2xl border border-dashed border-edge bg-card p-6 sm:p-8"
    >
      <h2 id="empty" className="text-lg font-medium">
        Waiting for sensor data…
      </h2>
      <p className="mt-1 text-sm text-soft">Send a reading; it appears here immediately:</p>
      <Command text={command} />
    </section>
  );
}

function Command({ text }: { text: string }) {
  const code = useRef<HTMLElement>(null);
  const [status, setStatus] = useState("");
  const copy = async () => {
    try {
      // Absent if the page was loaded over plain HTTP from another host.
      await navigator.clipboard.writeText(text);
      setStatus("Copied");
    } catch {
      if (code.current) window.getSelection()?.selectAllChildren(code.current);
      setStatus("Selected: press Ctrl+C");
    }
  };
  return (
    <>
      <pre className="mt-4 rounded-lg bg-quiet-back p-4 font-mono text-sm break-words whitespace-pre-wrap">
        <code ref={code}>{text}</code>
      </pre>
      <div className="mt-4 flex items-center gap-3">
        <button
          type="button"
          onClick={copy}
          className="cursor-pointer rounded-lg border border-edge bg-page px-4 py-2 text-sm font-medium hover:bg-quiet-back"
        >
          Copy command
        </button>
        <span aria-live="polite" className="text-sm text-soft">
          {status}
        </span>
      </div>
    </>
  );
}
