/**
 * What a client has queued since MULTI. Commands for the shard are kept as the raw bytes that will be sent in one frame;
 * those that the proxy answers itself are kept apart with their place, and run when the shard has answered.
 */
import type { User } from '#protocol/acl/user.ts'
import type { CommandSpec } from '#protocol/commands/index.ts'
import { commandIn } from '#protocol/commands/request.ts'
import { type RequestLimits, RequestScanner } from '#protocol/resp/requestScanner.ts'
import { copyOf } from '#runtime/bytes/bytes.ts'
import { ByteWriter } from '#runtime/bytes/byteWriter.ts'

export interface QueuedLocal {
  /** Its index in the reply of EXEC. */
  place: number
  spec: CommandSpec
  bytes: Uint8Array
  /** It isn't run any more, but answered with this error. */
  refusal: string | null
}

export class TransactionQueue {
  count = 0
  /** All keys lie in it; -1: no keys so far. */
  slot = -1
  /** A command was refused: EXEC will be, too. */
  isFailed = false
  hasWrites = false
  runsScripts = false
  /** Whose commands they are, as the user was when they were queued. */
  readonly user: User
  readonly locals: QueuedLocal[] = []
  #localBytes = 0
  readonly #commands = new ByteWriter(256)

  constructor(user: User) {
    this.user = user
  }

  get sizeBytes(): number {
    return this.#commands.length + this.#localBytes
  }

  get shardCount(): number {
    return this.count - this.locals.length
  }

  /** Which reads the shard remembers may change on the way. */
  get changesTracking(): boolean {
    return this.locals.some(({ spec }) => spec.name === 'CLIENT|TRACKING' || spec.name === 'CLIENT|CACHING')
  }

  /** Raw commands for the shard, valid until the next is added. */
  get shardBytes(): Uint8Array {
    return this.#commands.view()
  }

  addForShard(spec: CommandSpec, bytes: Uint8Array, start: number, end: number): void {
    this.#commands.raw(bytes, start, end)
    this.count++
    if (spec.mayWrite) this.hasWrites = true
    if (spec.runsScript) this.runsScripts = true
  }

  addLocal(
    spec: CommandSpec,
    bytes: Uint8Array,
    start: number,
    end: number,
    refusal: string | null = null,
  ): void {
    this.locals.push({ place: this.count, spec, bytes: copyOf(bytes, start, end), refusal })
    this.#localBytes += end - start
    this.count++
  }
}

interface QueuedRequest {
  spec: CommandSpec
  /** Until the next one. */
  request: RequestScanner
  local: QueuedLocal | undefined
  /** The raw command is [start, end). */
  bytes: Uint8Array
  start: number
  end: number
}

/** Everything that is queued, in its order. */
export function* requestsOf(
  queue: TransactionQueue,
  limits: RequestLimits,
): Generator<QueuedRequest, void, void> {
  const request = new RequestScanner(limits)
  const locals = new Map(queue.locals.map((local) => [local.place, local]))
  const { shardBytes } = queue
  let at = 0
  for (let place = 0; place < queue.count; place++) {
    const local = locals.get(place)
    const bytes = local?.bytes ?? shardBytes
    const start = local === undefined ? at : 0
    const end = request.scan(bytes, start, bytes.length)
    if (local === undefined) at = end
    // What was queued is known.
    const spec = local?.spec ?? (commandIn(request) as CommandSpec)
    yield { spec, request, local, bytes, start, end }
  }
}

/** Looks at every command again: those that `check` refuses now are answered with what it says, the others stay. */
export function rechecked(
  queue: TransactionQueue,
  user: User,
  limits: RequestLimits,
  check: (spec: CommandSpec, request: RequestScanner) => string | null,
): TransactionQueue {
  const next = new TransactionQueue(user)
  next.slot = queue.slot
  for (const { spec, request, local, bytes, start, end } of requestsOf(queue, limits)) {
    const refusal = local?.refusal ?? check(spec, request)
    if (local === undefined && refusal === null) next.addForShard(spec, bytes, start, end)
    else next.addLocal(spec, bytes, start, end, refusal)
  }
  return next
}
