/**
 * What a cluster holds has a life: until the cluster is forced out of the database, or loses its disk. What it had told its
 * clients by then may be lost, as far as nobody else has seen it, and nothing beyond. The others get what a cluster does in
 * a slot in the order in which it was done, so of each slot an end is lost, and nothing before what is there.
 */
import { slotOfKey } from '#protocol/slots/crc16.ts'

const nothing = (): boolean => false

export class Life {
  readonly cluster: number
  /** Counts what is sent and what is acknowledged. */
  #now = 0
  /** By slot: what was acknowledged before this is known to be at others. */
  readonly #kept = new Map<number, number>()
  #isLost: (slot: number) => boolean = nothing

  constructor(cluster: number) {
    this.cluster = cluster
  }

  /** Something is sent to the cluster. */
  begin(key: string): Write {
    return new Write(this, slotOfKey(key), ++this.#now)
  }

  tick(): number {
    return ++this.#now
  }

  /** Others have what was sent at that time, so they have all before it. */
  keep(slot: number, sent: number): void {
    this.#kept.set(slot, Math.max(sent, this.#kept.get(slot) ?? 0))
  }

  /** What nobody else has of the slots may be lost, from now on and what comes. */
  end(isLost: (slot: number) => boolean = () => true): void {
    this.#isLost = isLost
  }

  mayHaveLost(slot: number, acknowledged: number): boolean {
    return this.#isLost(slot) && acknowledged > (this.#kept.get(slot) ?? 0)
  }
}

/** Something that a client has asked of a cluster; whether it wrote anything or not. */
export class Write {
  readonly life: Life
  readonly #slot: number
  readonly #sent: number
  #acknowledged = Number.POSITIVE_INFINITY
  #isElsewhere = false

  constructor(life: Life, slot: number, sent: number) {
    this.life = life
    this.#slot = slot
    this.#sent = sent
  }

  /** Called once. */
  acknowledge(): void {
    this.#acknowledged = this.life.tick()
  }

  /** It has been seen by a client of `other`. */
  seenIn(other: Life): void {
    if (other !== this.life) this.confirm()
  }

  /** Another cluster has it. */
  confirm(): void {
    this.#isElsewhere = true
    this.life.keep(this.#slot, this.#sent)
  }

  get mayBeLost(): boolean {
    return !this.#isElsewhere && this.life.mayHaveLost(this.#slot, this.#acknowledged)
  }
}
