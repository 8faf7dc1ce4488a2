/** The links to all shards of this cluster, by hash slot and in slot order. */
import type { ShardAddress } from '#config/process.ts'
import { slotCount } from '#protocol/slots/crc16.ts'
import { SlotMap } from '#protocol/slots/slotMap.ts'
import type { ShardLink } from '#proxy/shardLink.ts'

export interface LinkedShard {
  readonly address: ShardAddress
  readonly link: ShardLink
}

/** Entries of the table by slot have one byte. */
export const shardsMax = 256

const firstSlotOf = ({ ranges }: ShardAddress): number => Math.min(...ranges.map(({ first }) => first))

export class ShardLinks {
  /** Ordered by their first slot. */
  readonly shards: readonly LinkedShard[]
  /** The links of `shards`. */
  readonly all: readonly ShardLink[]
  /** Whether the keys of a command must lie in one slot; without there is one shard. */
  readonly sharding: boolean
  /** Place of each slot's owner in `all`: small, because every request reads a random one of its entries. */
  readonly #owners = new Uint8Array(slotCount)

  /** Each slot has an owner, or it is an error: a command must have somewhere to go. */
  constructor(shards: readonly LinkedShard[], sharding: boolean) {
    this.sharding = sharding
    this.shards = shards
      .filter(({ address }) => address.ranges.length > 0)
      .sort((a, b) => firstSlotOf(a.address) - firstSlotOf(b.address))
    this.all = this.shards.map(({ link }) => link)
    if (this.all.length > shardsMax)
      throw new RangeError(`${this.all.length} shards, at most ${shardsMax} can be`)
    if (!sharding && this.all.length > 1)
      throw new RangeError(`${this.all.length} shards of a database without sharding`)
    const map = new SlotMap(this.shards.map(({ address }) => address))
    if (map.firstUnowned() >= 0) throw new RangeError(`no shard owns slot ${map.firstUnowned()}`)
    for (const [place, { address }] of this.shards.entries())
      for (const { first, last } of address.ranges) this.#owners.fill(place, first, last + 1)
  }

  of(slot: number): ShardLink {
    return this.all[this.#owners[slot] as number] as ShardLink
  }

  get allUp(): boolean {
    return this.all.every((link) => link.isUp)
  }
}
