/** Slots of toy shards, dealt to portions: by the last digits of stamps. */
import { digestBytes, type Portioning } from '#protocol/sync/digestMessage.ts'
import type { Stamp } from '#protocol/sync/stamp.ts'
import type { VersionVector } from '#protocol/sync/versionVector.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'
import type { FrozenState, SlotDifferences, StagedSlot } from '#server/sync/localShard.ts'

type Tokens = ReadonlyMap<Stamp, string>

const portionOf = (stamp: Stamp, { bits }: Portioning): number => Math.floor(stamp / 8) % 2 ** bits

function digestsOf(tokens: Tokens, portioning: Portioning): Uint8Array {
  const digests = new Uint8Array(digestBytes * 2 ** portioning.bits)
  for (const [stamp, token] of tokens) {
    const start = digestBytes * portionOf(stamp, portioning)
    const text = `${stamp} ${token}`
    for (let i = 0; i < text.length; i++) {
      const at = start + (i % digestBytes)
      digests[at] = ((digests[at] as number) * 31 + text.charCodeAt(i)) & 0xff
    }
  }
  return digests
}

const sorted = (tokens: Tokens): Map<Stamp, string> => new Map([...tokens].sort(([a], [b]) => a - b))

export class ToyFrozen implements FrozenState {
  isVoid = false
  dropped = false
  digests: Uint8Array | null = null
  readonly #tokens: Map<Stamp, string>
  readonly #portioning: Portioning
  readonly #stage: (label: VersionVector, kept: Tokens) => StagedSlot

  constructor(
    tokens: Tokens,
    portioning: Portioning,
    stage: (label: VersionVector, kept: Tokens) => StagedSlot,
  ) {
    this.#tokens = sorted(tokens)
    this.#portioning = portioning
    this.#stage = stage
  }

  step(): void {
    this.digests = digestsOf(this.#tokens, this.#portioning)
  }

  stage(label: VersionVector, differing: Uint8Array): StagedSlot {
    const isEqual = (stamp: Stamp) => {
      const portion = portionOf(stamp, this.#portioning)
      return ((differing[portion >> 3] as number) & (1 << (portion & 7))) === 0
    }
    return this.#stage(label, new Map([...this.#tokens].filter(([stamp]) => isEqual(stamp))))
  }

  drop(): void {
    this.dropped = true
  }
}

export class ToyDifferences implements SlotDifferences {
  differing: Uint8Array | null = null
  readonly #tokens: () => Tokens
  readonly #portioning: Portioning
  readonly #theirs: Uint8Array

  constructor(tokens: () => Tokens, portioning: Portioning, theirs: Uint8Array) {
    this.#tokens = tokens
    this.#portioning = portioning
    this.#theirs = theirs
  }

  step(): void {
    const portions = 2 ** this.#portioning.bits
    const own = digestsOf(sorted(this.#tokens()), this.#portioning)
    const differing = new Uint8Array(Math.ceil(portions / 8))
    for (let at = 0; at < own.length; at++) {
      const portion = Math.floor(at / digestBytes)
      if (own[at] === this.#theirs[at]) continue
      differing[portion >> 3] = (differing[portion >> 3] as number) | (1 << (portion & 7))
    }
    this.differing = differing
  }

  /** One token at a time. */
  encodePart(position: number, writer: ByteWriter): number {
    const left = [...sorted(this.#tokens())].filter(([stamp]) => stamp >= position)
    const [first, second] = left
    if (first === undefined) return 0
    const portion = portionOf(first[0], this.#portioning)
    if (((this.differing?.[portion >> 3] ?? 0) & (1 << (portion & 7))) !== 0) {
      writer.f64(first[0])
      writer.text(first[1])
    }
    return second === undefined ? 0 : second[0]
  }
}
