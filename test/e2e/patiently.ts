/** Again while a shard restarts. */
export async function patiently<T>(ask: () => Promise<T>, withinMs = 20_000): Promise<T> {
  const deadlineMs = performance.now() + withinMs
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!String(error).includes('UNAVAILABLE') || performance.now() > deadlineMs) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
