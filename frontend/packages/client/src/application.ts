/** Calls of the application's own functions: its fault must not cost it the rest of a frame, nor the connection. */

/** What it throws is reported as if nobody had called it. */
export function callApplication(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
