/**
 * One connection to the shard: from a proxy, with the requests of all its clients and the channels of peers' syncers, or
 * from this cluster's own syncer. Cuts it into frames and leads each to whoever it is for.
 */
import type { User } from '#protocol/acl/user.ts'
import { type Frame, FrameKind, FrameReader, readU32 } from '#protocol/frames/frame.ts'
import {
  type ChannelOpening,
  channelClosedFrame,
  type Hello,
  helloFrame,
  readChannelOpening,
  readHello,
  readJson,
} from '#protocol/frames/hello.ts'
import type { Connection, ConnectionHandler } from '#runtime/ports.ts'
import type { SyncChannel } from '#server/sync/localShard.ts'
import type { ChannelEnd } from '#server/sync/syncOptions.ts'
import { Outbox } from './outbox.ts'
import { ScriptUser, scriptUserOf } from './scriptUser.ts'
import type { TrackedClient } from './trackingTable.ts'
import type { WatchingSession } from './watches.ts'

/** After so much from peers it is the turn of others: some milliseconds of work. */
const channelBytesWanted = 64 * 1024
/** With more than this on its way out a link is not read from, until half of it has left. */
export const linkOutputPauseBytes = 64 * 1024 * 1024
/** Sync channels of one link: all shards of all peers are far fewer. */
export const linkChannelsMax = 4096

const nothing = new Uint8Array(0)
const notYetOpen: ChannelEnd = { receive() {}, closed() {} }

/** The shard, as its links need it. */
export interface LinkHost {
  /** What this shard says of itself. */
  readonly hello: Hello
  /** Why whoever says this may not speak to this shard; null: it may. */
  admission(hello: Hello): string | null
  /** A chunk of frames begins: what it asks for happens now. */
  beginStep(): void
  /** The chunk is done with; its bytes are still there. */
  endStep(): void
  /** What was taken of it has taken so long that it is the turn of others. */
  readonly isStepLong: boolean
  /** Runs it in a later turn. */
  later(run: () => void): void
  /** A request, a transaction, or what a session wants: the reply goes into the link's outbox. */
  execute(link: Link, frame: Frame): void
  ask(link: Link, tag: number, question: unknown): void
  /** An error text when the channel can't be opened. */
  openChannel(opening: ChannelOpening, channel: SyncChannel): ChannelEnd | string
  /** There is something in the outbox: it is sealed and released at the turn's end. */
  hasOutput(link: Link): void
  closed(link: Link, reason: string): void
}

export class Link implements ConnectionHandler {
  readonly outbox: Outbox
  /** The watching sessions of the proxy at the other end. */
  readonly sessions = new Map<number, WatchingSession>()
  /** For whom the scripts of the next request run; null: for who may do everything. */
  scriptUser: ScriptUser | null = null
  /** By the numbers that the proxy has given them. */
  readonly #users = new Map<number, User>()
  /** Those whose reads are remembered, or that have said who writes. */
  readonly trackedClients = new Map<number, TrackedClient>()
  /** At the other end are clients. */
  isProxy = false
  readonly #connection: Connection
  readonly #host: LinkHost
  readonly #reader = new FrameReader()
  readonly #channels = new Map<number, ChannelEnd>()
  readonly #take = (frame: Frame): void => {
    this.#frame(frame)
    if (
      this.#host.isStepLong ||
      this.#channelBytes >= channelBytesWanted ||
      this.outbox.sizeBytes > linkOutputPauseBytes
    )
      this.#hold()
  }
  readonly #endStep = (): void => this.#host.endStep()
  /** Taken from channels since it was the turn of others. */
  #channelBytes = 0
  /** What is held is going to be taken. */
  #isGoingOn = false
  /** The proxy at the other end wants to see what scripts call. */
  monitors = false
  #greeted = false
  #closed = false
  #paused = false
  #isStopped = false
  #peerName = ''

  constructor(connection: Connection, host: LinkHost) {
    this.#connection = connection
    this.#host = host
    this.outbox = new Outbox(connection)
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** For logs. */
  get peerName(): string {
    return this.#peerName
  }

  onData(chunk: Uint8Array): void {
    if (this.#closed) return
    if (!this.#reader.isHeld) this.#host.beginStep()
    this.#taken(this.#reader.feed(chunk, this.#take, this.#endStep))
  }

  #taken(error: string | null): void {
    if (error !== null) this.#reject(error)
    if (!this.outbox.isEmpty) this.#host.hasOutput(this)
  }

  onDrain(): void {
    this.relieve()
  }

  onClose(error: Error | null): void {
    this.#end(error === null ? 'closed by the other side' : error.message)
  }

  /** Sends what may leave. */
  release(position: number): void {
    if (this.#closed) return
    this.outbox.release(position)
    if (this.outbox.sizeBytes > linkOutputPauseBytes) this.#pause()
    else this.relieve()
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#connection.pause()
  }

  /** Reads on when enough has left. */
  relieve(): void {
    if (!this.#paused || this.outbox.sizeBytes > linkOutputPauseBytes / 2) return
    if (this.#reader.isHeld) {
      this.#goOnLater()
      return
    }
    this.#paused = false
    this.#connection.resume()
  }

  /** What has come behind this frame waits: others are to have their turn, or what was written here is to leave first. */
  #hold(): void {
    this.#channelBytes = 0
    this.#reader.hold()
    this.#pause()
    this.relieve()
  }

  /** The commands of this frame from `offset` on wait for a turn of their own. */
  putOff(offset: number): void {
    this.#reader.holdFrom(offset)
  }

  #goOnLater(): void {
    if (this.#isGoingOn) return
    this.#isGoingOn = true
    this.#host.later(() => {
      this.#isGoingOn = false
      if (this.#closed || this.#isStopped) return
      this.#host.beginStep()
      this.#taken(this.#reader.goOn(this.#take, this.#endStep))
      this.relieve()
    })
  }

  /** What still comes is for the next process. */
  stopReading(): void {
    this.#isStopped = true
    this.#connection.pause()
  }

  /** Ends after what was sent has left. */
  close(reason: string): void {
    if (this.#closed) return
    this.#connection.close()
    this.#end(reason)
  }

  #reject(reason: string): void {
    if (this.#closed) return
    this.#connection.destroy()
    this.#end(reason)
  }

  #end(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    const ends = [...this.#channels.values()]
    this.#channels.clear()
    for (const end of ends) end.closed()
    this.#host.closed(this, reason)
  }

  #frame(frame: Frame): void {
    if (this.#closed) return
    if (!this.#greeted) {
      this.#greet(frame)
      return
    }
    switch (frame.kind) {
      case FrameKind.request:
      case FrameKind.transaction:
      case FrameKind.watch:
      case FrameKind.unwatch:
      case FrameKind.blocking:
      case FrameKind.unblock:
      case FrameKind.wait:
        this.#host.execute(this, frame)
        break
      case FrameKind.user:
        this.#takeUser(frame)
        break
      case FrameKind.actFor:
        this.#actFor(frame)
        break
      case FrameKind.channelData:
        this.#channelData(frame)
        break
      case FrameKind.channelOpen:
        this.#openChannel(frame)
        break
      case FrameKind.channelClosed:
        this.#channelClosed(frame)
        break
      case FrameKind.admin:
        this.#host.ask(this, frame.tag, readJson(frame))
        break
      default:
        this.#reject(`a frame of kind ${frame.kind}`)
    }
  }

  #greet(frame: Frame): void {
    const hello = readHello(frame)
    const refusal = typeof hello === 'string' ? hello : this.#host.admission(hello)
    if (typeof hello === 'string' || refusal !== null) {
      this.#reject(refusal ?? 'no hello')
      return
    }
    this.#greeted = true
    this.isProxy = hello.role === 'proxy'
    this.#peerName = hello.role === 'proxy' ? `proxy ${hello.name}` : hello.role
    this.outbox.addFrame(helloFrame(this.#host.hello))
  }

  #takeUser(frame: Frame): void {
    const user = scriptUserOf(frame)
    if (user === null) this.#reject('a user whose rules make no sense')
    else this.#users.set(frame.tag, user)
  }

  #actFor({ tag, bytes, payloadStart }: Frame): void {
    const user = this.#users.get(tag)
    if (user === undefined) this.#reject(`a user of number ${tag} who was not told of`)
    else this.scriptUser = new ScriptUser(user, readU32(bytes, payloadStart))
  }

  #openChannel(frame: Frame): void {
    const { tag } = frame
    const opening = readChannelOpening(frame)
    if (typeof opening === 'string') {
      this.#reject(opening)
      return
    }
    if (this.#channels.has(tag)) {
      this.#reject(`channel ${tag} is open already`)
      return
    }
    if (this.#channels.size >= linkChannelsMax) {
      this.#sayClosed(tag, `more than ${linkChannelsMax} channels on one link`)
      return
    }
    // First of all, as the new end may speak at once.
    this.outbox.addMessage(FrameKind.channelOpened, tag, nothing)
    this.#channels.set(tag, notYetOpen)
    const end = this.#host.openChannel(opening, this.#channel(tag))
    // It may have been closed again while it was being opened.
    if (!this.#channels.has(tag)) return
    if (typeof end !== 'string') this.#channels.set(tag, end)
    else {
      this.#channels.delete(tag)
      this.#sayClosed(tag, end)
    }
  }

  #channel(tag: number): SyncChannel {
    return {
      send: (message) => {
        if (this.#closed) return
        this.outbox.addMessage(FrameKind.channelData, tag, message)
        this.#host.hasOutput(this)
      },
      close: (reason) => {
        this.#channels.delete(tag)
        this.#sayClosed(tag, reason)
      },
    }
  }

  #sayClosed(tag: number, reason: string): void {
    if (this.#closed) return
    this.outbox.addFrame(channelClosedFrame(tag, reason))
    this.#host.hasOutput(this)
  }

  #channelData({ tag, bytes, payloadStart, payloadEnd }: Frame): void {
    // A channel that was closed here may still be spoken on by the other side.
    const end = this.#channels.get(tag)
    if (end === undefined) return
    // A plain array over the same memory: what the channel keeps of it it copies with `slice`, and a Buffer's doesn't copy.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#channelBytes += payloadEnd - payloadStart
    end.receive(plain, payloadStart, payloadEnd)
  }

  #channelClosed(frame: Frame): void {
    const end = this.#channels.get(frame.tag)
    this.#channels.delete(frame.tag)
    end?.closed()
  }
}
