/** Replaced by the gateway when it serves the page, if readings are posted to another origin than the page's. */
export const INGEST_PLACEHOLDER = "%ROWCAST_INGEST%";

/** The `content` of the meta element in the document, so that React hydrates without a mismatch. */
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
