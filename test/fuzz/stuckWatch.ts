/**
 * A thread that looks whether the main one still makes steps. One that is stuck can say nothing itself: its stack is read
 * from here by the inspector, and the process ends.
 */
import { writeSync } from 'node:fs'
import { Session } from 'node:inspector'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

interface Watched {
  /** Of steps begun, and a number that names what is under way. */
  counters: SharedArrayBuffer
  stuckMs: number
}

const framesShown = 20

/** Returns what is to be called at each step, with a number that names it. */
export function watchSteps(stuckMs: number): (name: number) => void {
  const watched: Watched = { counters: new SharedArrayBuffer(8), stuckMs }
  const counters = new Int32Array(watched.counters)
  new Worker(new URL(import.meta.url), { workerData: { watched } }).unref()
  return (name) => {
    Atomics.add(counters, 0, 1)
    Atomics.store(counters, 1, name)
  }
}

function watch({ counters, stuckMs }: Watched): void {
  const [steps, name] = [0, 1]
  const shared = new Int32Array(counters)
  let before = -1
  setInterval(() => {
    const now = Atomics.load(shared, steps)
    if (now === before) tellStack(Atomics.load(shared, name))
    before = now
  }, stuckMs)
}

/** Not by `console`, which is the main thread's. */
function say(line: string): void {
  writeSync(1, `${line}\n`)
}

function tellStack(name: number): void {
  const session = new Session()
  session.connectToMainThread()
  session.on('Debugger.paused', ({ params }) => {
    for (const { functionName, url, location } of params.callFrames.slice(0, framesShown))
      say(`    at ${functionName} (${url}:${location.lineNumber + 1})`)
    process.kill(process.pid, 'SIGKILL')
  })
  session.post('Debugger.enable')
  session.post('Debugger.pause')
  say(`SEED=${name} FAILED a step does not end`)
}

if (!isMainThread && workerData?.watched !== undefined) watch(workerData.watched)
