/** Asks the threads beside the shards about the scripts that run there: the shards themselves do not listen meanwhile. */
import {
  readScriptWatchAnswer,
  type ScriptWatchAnswer,
  type ScriptWatchQuestion,
  scriptWatchLine,
  scriptWatchPath,
} from '#protocol/frames/scriptWatch.ts'
import { bytesOf, latin1 } from '#runtime/bytes/bytes.ts'
import type { Net, Timers } from '#runtime/ports.ts'

/** Besides the time for which a script has to run before it is stopped. */
const answerMsMax = 500
const answerBytesMax = 512 * 1024

/** `answered` is called once; null: there is no thread, as before the first script, or it doesn't answer. */
export function askScriptWatch(
  { net, timers }: { net: Net; timers: Timers },
  shardPath: string,
  question: ScriptWatchQuestion,
  answered: (answer: ScriptWatchAnswer | null) => void,
): void {
  let received = ''
  let isOver = false
  const end = (answer: ScriptWatchAnswer | null): void => {
    if (isOver) return
    isOver = true
    cancel()
    connection.destroy()
    answered(answer)
  }
  const afterMs = question.kind === 'kill' ? question.afterMs : 0
  const connection = net.connect(
    { kind: 'unix', path: scriptWatchPath(shardPath) },
    {
      onOpen: () => connection.write(bytesOf(`${scriptWatchLine(question)}\n`)),
      onData: (chunk) => {
        received += latin1(chunk)
        const lineEnd = received.indexOf('\n')
        if (lineEnd >= 0) end(readScriptWatchAnswer(received.slice(0, lineEnd)))
        else if (received.length > answerBytesMax) end(null)
      },
      onDrain() {},
      onClose: () => end(null),
    },
  )
  const cancel = timers.after(answerMsMax + afterMs, () => end(null))
}
