/** A slot that is kept as it was while a peer finds out what differs there, until it is staged together with that. */
import type { Portioning } from '#protocol/sync/digestMessage.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import type { FrozenSlot } from '#server/store/frozenSlot.ts'
import type { Keyspace } from '#server/store/keyspace.ts'
import type { FrozenState, StagedSlot } from '#server/sync/localShard.ts'
import { SlotStaging, type StagingHost } from './slotStaging.ts'

export class FrozenSlotState implements FrozenState {
  readonly #slot: number
  #staged: Keyspace | null = null
  readonly #newStaged: () => Keyspace
  readonly #host: StagingHost
  readonly #frozen: FrozenSlot
  readonly #stepBytes: number

  constructor(
    slot: number,
    portioning: Portioning,
    newStaged: () => Keyspace,
    host: StagingHost,
    stepBytes: number,
  ) {
    this.#stepBytes = stepBytes
    this.#slot = slot
    this.#newStaged = newStaged
    this.#host = host
    this.#frozen = host.db.freezeSlot(slot, portioning, () => this.#stagedOnce())
  }

  #stagedOnce(): Keyspace {
    if (this.#staged === null) {
      this.#staged = this.#newStaged()
      this.#host.db.addStaged(this.#staged)
    }
    return this.#staged
  }

  get isVoid(): boolean {
    return this.#frozen.isVoid
  }

  get digests(): Uint8Array | null {
    return this.#frozen.digests
  }

  step(): void {
    this.#frozen.step(this.#stepBytes)
  }

  stage(label: VersionVector, differing: Uint8Array): StagedSlot {
    this.#frozen.differ(differing)
    return new SlotStaging(this.#slot, label, this.#stagedOnce(), this.#host, this.#frozen)
  }

  drop(): void {
    this.#frozen.end()
    if (this.#staged !== null) this.#host.db.dropStaged(this.#staged)
  }
}
