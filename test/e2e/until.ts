/** Waits for what processes do by themselves. */
const withinMs = 20_000

/** `what` is for the error: it did not happen. */
export async function until(holds: () => boolean | Promise<boolean>, what = 'it'): Promise<void> {
  const deadlineMs = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`${what} did not happen within ${withinMs / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
