/** Sensors that the address leaves out: `?hide=rowcast-canary,test-*`. */

/** Whether a sensor is shown; `hide` is a list of ids and `prefix*`. */
export function isShownBeside(hide: string | null): (sensor: string) => boolean {
  const patterns = (hide ?? "").split(",").filter((pattern) => pattern !== "");
  return (sensor) => !patterns.some((pattern) => matches(pattern, sensor));
}

function matches(pattern: string, sensor: string): boolean {
  return pattern.endsWith("*") ? sensor.startsWith(pattern.slice(0, -1)) : sensor === pattern;
}
