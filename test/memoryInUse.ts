/** What this process really takes, for tests of bounds: heap and buffers, without what is garbage. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

export async function memoryInUseBytes(): Promise<number> {
  // Buffers are given back in turns of the event loop behind the one in which nobody had them any more.
  for (let i = 0; i < 3; i++) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
