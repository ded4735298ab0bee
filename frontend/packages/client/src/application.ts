/** Calls of the application's functions: an error in one must not lose the rest of a frame, nor the connection. */

/** An error that it throws is reported as uncaught. */
export function callApplication(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
