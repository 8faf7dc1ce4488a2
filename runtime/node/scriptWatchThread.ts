/**
 * The thread beside a shard that runs scripts: while one runs, the shard itself hears nothing. Whoever connects to its socket
 * may ask, a line each: `status`; `show`, which wants the command of a function, too; `kill`, what (`script` or `function`) and how many
 * milliseconds it has to have run, as one that ends by itself soon is none to be stopped. The answer is a line: `idle`; `runs`, what,
 * for how many milliseconds, and the command as JSON; `killed`; `unkillable`, when it writes; `other`, when it is not of the kind.
 */
import { unlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { workerData } from 'node:worker_threads'
import { readRunningCommand } from './runningCommand.ts'
import { Phase, phaseBits, phaseMask, type SharedWatch } from './scriptWatch.ts'

const { word, started, command, commandEnd, socketPath } = workerData as SharedWatch
/** Nobody asks anything longer. */
const questionBytesMax = 64

/** Between two looks at whether a script that is too young to be stopped has ended. */
const lookMs = 5

function answer(question: string, say: (line: string) => void): void {
  const kill = /^kill (script|function) ([0-9]{1,9})$/.exec(question)
  const shown = Atomics.load(word, 0)
  if (kill !== null) stop(shown >> phaseBits, kill[1] ?? '', Number(kill[2]), say)
  else if (shown === Phase.idle) say('idle')
  else {
    const line = `runs ${kindNow()} ${ranMs()}`
    const running = question === 'show' ? readRunningCommand(command, Math.max(0, commandEnd[0] ?? 0)) : null
    // What was read may be of the next run.
    const isSame = Atomics.load(word, 0) >> phaseBits === shown >> phaseBits
    if (!isSame) say('idle')
    else say(running === null ? line : `${line} ${JSON.stringify(running)}`)
  }
}

const kindNow = (): string => ((commandEnd[0] ?? 0) < 0 ? 'script' : 'function')

/** Of what runs; it has run at least for so long, as the time is set before the word. */
const ranMs = (): number => Math.max(0, Date.now() - (started[0] ?? 0))

/** Stops this run, once it has run for `afterMs`. */
function stop(run: number, kind: string, afterMs: number, say: (line: string) => void): void {
  const shown = Atomics.load(word, 0)
  if (shown === Phase.idle || shown >> phaseBits !== run) say('idle')
  else if (ranMs() < afterMs) setTimeout(stop, lookMs, run, kind, afterMs, say)
  else {
    const running = (run << phaseBits) | Phase.running
    if (kindNow() !== kind) {
      say((shown & phaseMask) === Phase.writing ? 'unkillable' : 'other')
      return
    }
    const found = Atomics.compareExchange(word, 0, running, (run << phaseBits) | Phase.killed)
    if (found >> phaseBits !== run) say('idle')
    else say((found & phaseMask) === Phase.writing ? 'unkillable' : 'killed')
  }
}

const server = createServer((socket) => {
  let asked = ''
  socket.on('error', () => socket.destroy())
  socket.on('data', (bytes) => {
    asked += bytes.toString('latin1')
    if (asked.length > questionBytesMax) socket.destroy()
    for (let end = asked.indexOf('\n'); end >= 0; end = asked.indexOf('\n')) {
      answer(asked.slice(0, end), (line) => socket.write(`${line}\n`))
      asked = asked.slice(end + 1)
    }
  })
})

try {
  unlinkSync(socketPath)
} catch {
  // There was none.
}
server.listen(socketPath)
