/** Ports of this machine. */
import { createServer } from 'node:net'

/** Whether this machine's loopback address can be listened on at `port`. */
export async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
