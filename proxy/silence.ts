/**
 * Whether a shard is in a script. One that owes replies and says nothing for long is looked at through the thread beside it:
 * when it has run a script for so long it is busy, and takes no requests until it speaks again.
 */
import type { ScriptKind } from '#protocol/frames/scriptWatch.ts'
import type { Net, Timers } from '#runtime/ports.ts'
import { askScriptWatch } from './scriptWatches.ts'

const busyReplyMsDefault = 5_000
const lookMsMin = 10

export class Silence {
  busyReplyMs = busyReplyMsDefault
  /** With what. */
  busyWith: ScriptKind | null = null
  readonly #ports: { net: Net; timers: Timers }
  readonly #socketPath: string
  readonly #owes: () => boolean
  /** How often the shard has spoken. */
  #heard = 0
  /** Somebody looks after a while. */
  #isTimed = false
  #cancel: () => void = () => {}

  constructor(ports: { net: Net; timers: Timers }, socketPath: string, owes: () => boolean) {
    this.#ports = ports
    this.#socketPath = socketPath
    this.#owes = owes
  }

  /** The shard has been asked something. */
  expect(): void {
    if (!this.#isTimed) this.#lookLater(this.busyReplyMs)
  }

  get isBusy(): boolean {
    return this.busyWith !== null
  }

  heard(): void {
    this.#heard++
    this.busyWith = null
  }

  /** The link is gone. */
  end(): void {
    this.#cancel()
    this.#isTimed = false
    this.busyWith = null
  }

  #lookLater(ms: number): void {
    const heard = this.#heard
    this.#isTimed = true
    this.#cancel = this.#ports.timers.after(ms, () => {
      this.#isTimed = false
      if (!this.#owes()) return
      if (this.#heard !== heard) this.#lookLater(this.busyReplyMs)
      else this.#ask(heard)
    })
  }

  #ask(heard: number): void {
    this.#isTimed = true
    askScriptWatch(this.#ports, this.#socketPath, { kind: 'status' }, (answer) => {
      this.#isTimed = false
      if (!this.#owes() || this.#heard !== heard || this.isBusy) return
      const running = answer?.state === 'runs' ? answer : null
      const forMs = running?.forMs ?? 0
      if (running !== null && forMs >= this.busyReplyMs) this.busyWith = running.of
      else this.#lookLater(Math.max(lookMsMin, this.busyReplyMs - forMs))
    })
  }
}
