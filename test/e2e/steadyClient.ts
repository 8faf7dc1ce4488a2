/**
 * A client that does nothing wrong, in a process of its own, so that nothing but the server holds it up: `steadyClient.ts PORT`. It
 * asks again and again, and tells how long that took when it is asked to.
 */
import { createConnection } from 'node:net'

const port = Number(process.argv[2])
const betweenMs = 2
const requests = [
  '*1\r\n$4\r\nPING\r\n',
  '*3\r\n$3\r\nSET\r\n$6\r\nsteady\r\n$1\r\n1\r\n',
  '*2\r\n$3\r\nGET\r\n$6\r\nsteady\r\n',
]

let waitsMs: number[] = []
let failures = 0
let sentMs = 0
let count = 0
const socket = createConnection({ port, host: '127.0.0.1', noDelay: true })

function ask(): void {
  sentMs = performance.now()
  socket.write(requests[count++ % requests.length] as string)
}

socket.on('connect', ask)
socket.on('data', (chunk) => {
  waitsMs.push(performance.now() - sentMs)
  if (chunk[0] === 0x2d) failures++
  setTimeout(ask, betweenMs)
})
socket.on('error', () => failures++)
socket.on('close', () => failures++)
process.on('message', () => {
  // The request under way counts, too.
  process.send?.({ waitsMs: [...waitsMs, performance.now() - sentMs], failures })
  waitsMs = []
})
