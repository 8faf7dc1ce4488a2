/**
 * A feed's questions for the digests of slots, before it sends their states (`slotCuts.ts`). Several are under way at once, as an
 * answer takes as long as the link is.
 */
import { type Digests, digestBytes, type Portioning, writeAskDigests } from '#protocol/sync/digestMessage.ts'
import { FormatError } from '#runtime/bytes/byteReader.ts'
import { concatenate, copyOf } from '#runtime/bytes/bytes.ts'
import type { ByteWriter } from '#runtime/bytes/byteWriter.ts'

/** Under way at once. */
const askedMax = 64

interface Question {
  number: number
  portioning: Portioning
  /** Of the answer, until it is whole. */
  pieces: Uint8Array[]
  sizeBytes: number
}

export interface Answered {
  slot: number
  /** Of the question. */
  number: number
  portioning: Portioning
  digests: Uint8Array
}

export class DigestQuestions {
  readonly #asked = new Map<number, Question>()
  readonly #answered = new Map<number, Answered>()
  #number = 0

  get mayAsk(): boolean {
    return this.size < askedMax
  }

  get size(): number {
    return this.#asked.size + this.#answered.size
  }

  has(slot: number): boolean {
    return this.#asked.has(slot) || this.#answered.has(slot)
  }

  clear(): void {
    this.#asked.clear()
    this.#answered.clear()
  }

  write(writer: ByteWriter, slot: number, portioning: Portioning): void {
    const number = ++this.#number
    this.#asked.set(slot, { number, portioning, pieces: [], sizeBytes: 0 })
    writeAskDigests(writer, { slot, number, portioning })
  }

  /** True: the peer has nothing to compare the slot with. */
  take({ slot, number, bytes, start, end }: Digests): boolean {
    const question = this.#asked.get(slot)
    // Of a question from before the latest subscribe.
    if (question?.number !== number) return false
    if (end === start && question.sizeBytes === 0) {
      this.#asked.delete(slot)
      return true
    }
    question.pieces.push(copyOf(bytes, start, end))
    question.sizeBytes += end - start
    const wanted = digestBytes * 2 ** question.portioning.bits
    if (end === start || question.sizeBytes > wanted)
      throw new FormatError(`digests of slot ${slot} in ${question.sizeBytes} bytes, it should be ${wanted}`)
    if (question.sizeBytes < wanted) return false
    this.#asked.delete(slot)
    const { portioning } = question
    this.#answered.set(slot, { slot, number, portioning, digests: concatenate(question.pieces) })
    return false
  }

  /** An answer of which the slot may be compared now. */
  next(mayCompare: (slot: number) => boolean): Answered | undefined {
    for (const answered of this.#answered.values()) {
      if (!mayCompare(answered.slot)) continue
      this.#answered.delete(answered.slot)
      return answered
    }
    return undefined
  }
}
