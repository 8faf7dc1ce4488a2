/** A replica of which transfers that go on while it works follow the log. */
import type { Keyspace } from '#server/store/keyspace.ts'
import { type Production, Replica, type Shipment } from './replica.ts'

export abstract class FollowingReplica extends Replica {
  readonly #made: Production

  constructor(...of: ConstructorParameters<typeof Replica>) {
    super(...of)
    this.#made = of[2]
  }

  override commit(nowMs: number, commands: () => void): Shipment | undefined {
    const shipment = super.commit(nowMs, commands)
    if (shipment !== undefined) this.follow(shipment)
    return shipment
  }

  protected override apply(shipment: Shipment): void {
    super.apply(shipment)
    this.follow(shipment)
  }

  /** The log goes on by it. */
  protected abstract follow(shipment: Shipment): void

  protected newStaged(slot: number): Keyspace {
    return new this.#made.Keyspace({ origin: this.origin, ranges: [{ first: slot, last: slot }] })
  }
}

/** What the slot does not have yet. */
export function replayInto(staged: Keyspace, slot: number, { parts, bytes }: Shipment): void {
  for (const part of parts)
    if (part.slot === slot && !staged.vectors.covers(slot, part.last)) staged.apply(part, bytes)
}
