import type { Connection, ConnectionHandler } from '#runtime/ports.ts'

const nobody: ConnectionHandler = { onData() {}, onDrain() {}, onClose() {} }

/** Says why, if there is something to say, and closes. */
export function turnAway(connection: Connection, message: Uint8Array | null): void {
  connection.handler = nobody
  if (message !== null) connection.write(message)
  connection.close()
}
