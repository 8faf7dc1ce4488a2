/** Its package has declarations, but does not export them. */
declare module 'redlock' {
  import type { Redis } from 'ioredis'

  export interface Lock {
    extend(durationMs: number): Promise<Lock>
    release(): Promise<unknown>
  }

  export default class Redlock {
    constructor(
      clients: Iterable<Redis>,
      settings?: { retryCount?: number; retryDelay?: number; retryJitter?: number },
    )
    acquire(resources: string[], durationMs: number): Promise<Lock>
    using<T>(
      resources: string[],
      durationMs: number,
      settings: { automaticExtensionThreshold: number },
      routine: (signal: { aborted: boolean }) => Promise<T>,
    ): Promise<T>
  }
}
