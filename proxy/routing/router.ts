/**
 * Sends a request to the shard, or to the shards, that the command table names for it, and makes one reply of theirs.
 * The common request (one key) does not come here: the session sends it on by itself.
 */
import type { CommandSpec } from '#protocol/commands/index.ts'
import { keyPositions } from '#protocol/commands/keys.ts'
import { errors } from '#protocol/resp/errors.ts'
import { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { RequestScanner } from '#protocol/resp/requestScanner.ts'
import { slotCount, slotOf } from '#protocol/slots/crc16.ts'
import type { ReplyTarget } from '#proxy/linkTargets.ts'
import type { ScriptActor } from '#proxy/linkUsers.ts'
import type { ShardLink } from '#proxy/shardLink.ts'
import type { Random } from '#runtime/ports.ts'
import { FanOut } from './fanOut.ts'
import { mergeReplies } from './merge.ts'
import { crossSlot, requestSlot } from './requestSlot.ts'
import type { ShardLinks } from './shardLinks.ts'

/** A request whose command is known and has the right number of arguments. */
export interface RoutedRequest {
  spec: CommandSpec
  arguments: RequestScanner
  /** The raw command is [start, end). */
  bytes: Uint8Array
  start: number
  end: number
  /** Nobody changes the bytes. */
  isFixed: boolean
  /** Of the frame. */
  flags: number
  /** Names the client to shards. */
  session: number
  resp3: boolean
  /** Of a script of who may not do everything: the shard is to judge what it calls. */
  actor: ScriptActor | null
}

/** Where the reply goes. `expect` is called once, as soon as nothing can stop the request any more. */
export interface ReplyPlace {
  readonly output: ReplyTarget
  expect(): number
  /** The same for a reply that becomes of several parts, which come one after the other. */
  expectParts(): number
  /** A command that writes is sent to the shard. */
  onWrite(link: ShardLink): void
}

/** Sent; or why not: an error text, or the link that has no room. */
export type Routing = null | string | ShardLink

interface KeyGroup {
  link: ShardLink
  slot: number
  positions: number[]
}

/** `SCAN`: its cursor is a slot plus 16384 times what the slot's shard makes of it. Any shard refuses what is none. */
const cursorPattern = /^[0-9]{1,15}$/

export class Router {
  readonly #random: Random
  readonly #request = new ReplyWriter()
  readonly #reply = new ReplyWriter()

  constructor(random: Random) {
    this.#random = random
  }

  route(request: RoutedRequest, links: ShardLinks, to: ReplyPlace): Routing {
    switch (request.spec.request) {
      case 'perKey':
        return this.#routePerKey(request, links, to)
      case 'allShards':
        return this.#routeToAll(request, links, to)
      case 'anyShard': {
        const slot = slotBy(request)
        return this.#forward(request, links.of(slot), slot, to)
      }
      case 'cursor':
        return this.#routeCursor(request, links, to)
      default: {
        const slot = requestSlot(request.spec, request.arguments, links.sharding)
        if (slot === crossSlot) return errors.crossSlot
        return this.#forward(request, links.of(Math.max(0, slot)), Math.max(0, slot), to)
      }
    }
  }

  #forward(request: RoutedRequest, link: ShardLink, slot: number, to: ReplyPlace): Routing {
    if (link.isFull) return link
    const { output, expect } = to
    if (request.spec.mayWrite) to.onWrite(link)
    const { bytes, start, end, flags, session, isFixed, actor } = request
    if (actor !== null) link.actFor(actor)
    link.request(output, expect(), slot, flags, session, bytes, start, end, isFixed)
    return null
  }

  #routeToAll(request: RoutedRequest, links: ShardLinks, to: ReplyPlace): Routing {
    const full = links.all.find((link) => link.isFull)
    if (full !== undefined) return full
    const [first] = links.shards
    if (links.all.length === 1 && first !== undefined)
      return this.#forward(request, first.link, 0, { ...to, expect: to.expectParts })
    const fanOut = this.#fanOut(request, links.all.length, [], to)
    const { bytes, start, end, flags, session } = request
    for (const [part, { link, address }] of links.shards.entries()) {
      if (request.spec.mayWrite) to.onWrite(link)
      link.request(fanOut, part, address.ranges[0]?.first ?? 0, flags, session, bytes, start, end, false)
    }
    return null
  }

  #routePerKey(request: RoutedRequest, links: ShardLinks, to: ReplyPlace): Routing {
    const { spec, arguments: scanner } = request
    // A key without its value (MSET) can't be split off: whichever shard gets the whole refuses it.
    if ((scanner.argumentCount - spec.firstKey) % Math.max(1, spec.keyStep) !== 0)
      return this.#forward(request, links.of(0), 0, to)
    const groups: KeyGroup[] = []
    const partOfLink = new Map<ShardLink, number>()
    const partOfKey: number[] = []
    for (const position of keyPositions(spec, scanner.argumentCount, (i) => scanner.text(i))) {
      const slot = slotOf(scanner.bytes, scanner.start(position), scanner.endOf(position))
      const link = links.of(slot)
      let part = partOfLink.get(link)
      if (part === undefined) {
        part = groups.push({ link, slot, positions: [] }) - 1
        partOfLink.set(link, part)
      }
      groups[part]?.positions.push(position)
      partOfKey.push(part)
    }
    const [first] = groups
    if (groups.length < 2) return this.#forward(request, first?.link ?? links.of(0), first?.slot ?? 0, to)
    const full = groups.find(({ link }) => link.isFull)
    if (full !== undefined) return full.link
    const fanOut = this.#fanOut(request, groups.length, partOfKey, to)
    for (const [part, group] of groups.entries()) {
      if (spec.mayWrite) to.onWrite(group.link)
      this.#sendPart(request, group, fanOut, part)
    }
    return null
  }

  /** The command's name with the keys of one shard, and what follows each of them. */
  #sendPart(request: RoutedRequest, group: KeyGroup, fanOut: FanOut, part: number): void {
    const { spec, arguments: scanner, flags, session } = request
    const step = Math.max(1, spec.keyStep)
    const writer = this.#request
    writer.clear()
    writer.array(1 + group.positions.length * step)
    writer.bulkBytes(scanner.bytes, scanner.start(0), scanner.endOf(0))
    for (const position of group.positions) {
      for (let i = position; i < position + step; i++) {
        writer.bulkBytes(scanner.bytes, scanner.start(i), scanner.endOf(i))
      }
    }
    group.link.request(fanOut, part, group.slot, flags, session, writer.bytes, 0, writer.length, false)
  }

  #fanOut(request: RoutedRequest, count: number, partOfKey: readonly number[], to: ReplyPlace): FanOut {
    const { spec, resp3 } = request
    const { output } = to
    const place = to.expectParts()
    return new FanOut(
      count,
      (parts) => {
        const reply = this.#reply
        reply.clear()
        reply.resp3 = resp3
        mergeReplies(spec.reply, parts, reply, { random: this.#random, partOfKey })
        output.onReply(place, reply.bytes, 0, reply.length)
      },
      output.asker,
    )
  }

  /** A shard that comes to a slot of another one answers with that slot as the cursor: a scan finds its way by itself. */
  #routeCursor(request: RoutedRequest, links: ShardLinks, to: ReplyPlace): Routing {
    const text = request.arguments.text(1)
    const slot = cursorPattern.test(text) ? Number(text) % slotCount : 0
    return this.#forward(request, links.of(slot), slot, to)
  }
}

/** Of the argument that stands for a key. */
function slotBy({ spec, arguments: scanner }: RoutedRequest): number {
  const { routedBy } = spec.row
  return routedBy === undefined ? 0 : slotOf(scanner.bytes, scanner.start(routedBy), scanner.endOf(routedBy))
}
