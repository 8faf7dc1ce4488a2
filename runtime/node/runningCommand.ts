/** The command of a function that runs, in memory that the thread beside the shard sees: `length u32 | bytes` for each argument. */

/** Arguments behind this much are not shown. */
export const runningCommandBytesMax = 64 * 1024

/** Arguments as the shard has them: i is [start(i), end(i)) of the bytes. */
export interface CommandBytes {
  readonly count: number
  readonly bytes: Uint8Array
  start(i: number): number
  end(i: number): number
}

const lengthBytes = 4

/** Returns the offset behind the last. */
export function writeRunningCommand(memory: Uint8Array, args: CommandBytes): number {
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length)
  let at = 0
  for (let i = 0; i < args.count; i++) {
    const length = args.end(i) - args.start(i)
    if (at + lengthBytes + length > memory.length) break
    view.setUint32(at, length)
    memory.set(args.bytes.subarray(args.start(i), args.end(i)), at + lengthBytes)
    at += lengthBytes + length
  }
  return at
}

/** Null: what was read had changed meanwhile. */
export function readRunningCommand(memory: Uint8Array, end: number): string[] | null {
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length)
  const command: string[] = []
  for (let at = 0; at < end; ) {
    const length = view.getUint32(at)
    if (at + lengthBytes + length > end) return null
    command.push(Buffer.from(memory.slice(at + lengthBytes, at + lengthBytes + length)).toString('latin1'))
    at += lengthBytes + length
  }
  return command
}
