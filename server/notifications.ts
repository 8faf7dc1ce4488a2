/**
 * Keyspace notifications: what happens to keys of this shard, told to subscribers of this cluster, and of no other: each tells its own
 * of what comes to it (ADR 31).
 *
 * An event waits until the log has what it tells of, and leaves behind the reply to the command, held back like that until the log
 * is durable where the database wants it: who hears of a change and looks finds it, and it stays. Events of a transaction or a script leave
 * together, in the order of what they tell of.
 *
 * While nobody has subscribed to anything, nothing is noted.
 */
import { type KeyEvent, KeyspaceEventSetting } from '#protocol/pubsub/keyspaceEvents.ts'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { invariant } from '#runtime/invariant.ts'
import type { Logger } from '#runtime/ports.ts'
import type { KeyEvents } from '#server/store/keyEvents.ts'
import type { Subscribers } from './subscribers.ts'

/** Of an event that waits, besides its key. */
const eventBytes = 64

interface NotificationParts {
  events: KeyEvents
  subscribers: Subscribers
  logger: Logger
  /** There is something to send: the turn needs an end. */
  onWaiting(): void
}

export class Notifications {
  bytesMax: number
  readonly #parts: NotificationParts
  #setting: KeyspaceEventSetting
  #waiting: KeyEvent[] = []
  #waitingBytes = 0
  #dropped = 0

  constructor(parts: NotificationParts, letters: string, bytesMax: number) {
    this.#parts = parts
    this.bytesMax = bytesMax
    this.#setting = settingOf(letters)
    parts.events.onEvent = (event) => this.#note(event)
    parts.subscribers.onChange = () => this.#refresh()
  }

  /** Letters that have been checked. */
  set letters(letters: string) {
    this.#setting = settingOf(letters)
    this.#refresh()
  }

  /** To be called when the log has been written: what waits is given to the links of subscribers. */
  send(): void {
    if (this.#waiting.length === 0) return
    const events = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    for (const event of events) {
      for (const { channel, message } of this.#setting.messages(event)) {
        const bytes = bytesOf(message)
        this.#parts.subscribers.deliverLogged({
          kind: 'channel',
          channel,
          bytes,
          start: 0,
          end: bytes.length,
        })
      }
    }
    if (this.#dropped === 0) return
    this.#parts.logger.warn(
      { dropped: this.#dropped, bytesMax: this.bytesMax },
      'more keyspace notifications than may wait (key_events_bytes_max); the last ones are dropped',
    )
    this.#dropped = 0
  }

  #refresh(): void {
    const { events, subscribers } = this.#parts
    const isHeard = subscribers.count('channel') + subscribers.count('pattern') > 0
    events.classes = isHeard ? this.#setting.classes : 0
  }

  #note(event: KeyEvent): void {
    const bytes = eventBytes + event.key.length
    if (this.#waitingBytes + bytes > this.bytesMax) {
      this.#dropped++
      return
    }
    this.#waitingBytes += bytes
    if (this.#waiting.push(event) === 1) this.#parts.onWaiting()
  }
}

function settingOf(letters: string): KeyspaceEventSetting {
  const setting = KeyspaceEventSetting.parse(letters)
  invariant(setting !== undefined, 'letters of events have been checked', { letters })
  return setting
}
