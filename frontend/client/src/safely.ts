/** Call what is not ours: a bug in there is reported as uncaught, and disturbs nobody here. */
export function safely<T>(call: ((value: T) => void) | undefined, value: T): void {
  try {
    call?.(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
