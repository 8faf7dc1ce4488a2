/** Servers that go on when a single connection can't be accepted, for want of descriptors. */
import type { Server } from 'node:net'

/** Rejects with the system's error when it can't listen. Later errors are about single connections, which are lost. */
export async function listening(
  server: Server,
  where: { path: string } | { port: number; host: string },
  onError: (error: Error) => void,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      server.on('error', onError)
      resolve()
    })
  })
}
