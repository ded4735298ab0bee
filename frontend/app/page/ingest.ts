/** Put in by the gateway when it serves the page, if readings are posted somewhere else than to the page's origin. */
export const INGEST_PLACEHOLDER = "%ROWCAST_INGEST%";

/** The `content` of the meta element as the document has it, so that React finds what it would write. */
export function ingestMeta(): string {
  if (typeof document === "undefined") return INGEST_PLACEHOLDER;
  return (
    document.querySelector<HTMLMetaElement>('meta[name="rowcast-ingest"]')?.content ?? INGEST_PLACEHOLDER
  );
}

export function ingestBase(meta: string, origin: string): string {
  const base = meta.trim();
  return base === "" || base === INGEST_PLACEHOLDER ? origin : base.replace(/\/+$/, "");
}

export function curlCommand(base: string): string {
  return `curl -X POST ${base}/api/sensors/ -H 'Content-Type: application/json' -d '{"sensor_id":"sensor-1","value":21.5}'`;
}
