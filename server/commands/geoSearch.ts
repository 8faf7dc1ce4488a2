/** Points near a point: GEOSEARCH, and GEORADIUS and its kin, which say the same with other words. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { SortedSetView } from '#server/store/views.ts'
import type { Arguments } from './arguments.ts'
import type { CommandContext, Handler } from './context.ts'
import { pointAt, replyWithDistance, replyWithPoint, unitAt } from './geoArguments.ts'
import { type Point, pointOf, scoresIn } from './geohash.ts'
import { cellsCovering, distanceInside, type Shape } from './geoShape.ts'
import { doubleAt, storeSortedSet } from './score.ts'

/** Lengths as the request gives them, in units of `metres`. */
type Extent =
  | { readonly kind: 'circle'; readonly radius: number; readonly metres: number }
  | { readonly kind: 'box'; readonly width: number; readonly height: number; readonly metres: number }

/** What is asked for. */
interface Search {
  /** Unknown when a member is the centre and the key doesn't exist. */
  centre?: Point
  extent?: Extent
  withDistance: boolean
  withHash: boolean
  withPoint: boolean
  order: 'any' | 'nearest' | 'farthest'
  /** 0: all. */
  count: number
  /** The first ones found do. */
  anyCount: boolean
  target?: string
  storesDistance: boolean
}

interface Found {
  readonly member: string
  readonly score: number
  readonly point: Point
  /** In metres. */
  readonly distance: number
}

/** Takes option `i` and returns the index of its last argument; undefined: it isn't one of this command's. */
type TakeOption = (search: Search, i: number) => number | undefined

function newSearch(): Search {
  return {
    withDistance: false,
    withHash: false,
    withPoint: false,
    order: 'any',
    count: 0,
    anyCount: false,
    storesDistance: false,
  }
}

/** Options from argument `from` on: those that all have, and the command's own. */
function parseOptions(args: Arguments, from: number, search: Search, takeOwn: TakeOption): void {
  for (let i = from; i < args.count; i++) {
    if (args.is(i, 'WITHDIST')) search.withDistance = true
    else if (args.is(i, 'WITHHASH')) search.withHash = true
    else if (args.is(i, 'WITHCOORD')) search.withPoint = true
    else if (args.is(i, 'ANY')) search.anyCount = true
    else if (args.is(i, 'ASC')) search.order = 'nearest'
    else if (args.is(i, 'DESC')) search.order = 'farthest'
    else if (args.is(i, 'COUNT') && i + 1 < args.count) {
      const count = args.integer(++i)
      if (count <= 0) throw new ReplyError(errors.geoCountNotPositive)
      search.count = Number(count)
    } else {
      const last = takeOwn(search, i)
      if (last === undefined) throw new ReplyError(errors.syntax)
      i = last
    }
  }
}

function checkStoring(search: Search, storing: string): void {
  const { withDistance, withHash, withPoint } = search
  if (search.target !== undefined && (withDistance || withHash || withPoint))
    throw new ReplyError(errors.storedWithDetails(storing))
}

/** COUNT without an order means the nearest, unless any will do. */
function checkCount(search: Search): void {
  if (search.anyCount && search.count === 0) throw new ReplyError(errors.anyWithoutCount)
  if (search.count > 0 && search.order === 'any' && !search.anyCount) search.order = 'nearest'
}

// ---- GEORADIUS and GEORADIUSBYMEMBER

const radiusSearch =
  (centred: 'point' | 'member', stores: boolean): Handler =>
  (context) => {
    const { args, db } = context
    const set = db.sortedSet(args.text(1))
    const search = newSearch()
    const radiusIndex = centred === 'point' ? 4 : 3
    if (centred === 'point') search.centre = pointAt(args, 2)
    else if (set !== undefined) search.centre = memberPoint(set, args.text(2))
    // A member that can't be there spares its radius from being looked at.
    if (search.centre !== undefined) search.extent = circleAt(args, radiusIndex)
    parseOptions(args, radiusIndex + 2, search, (found, i) => {
      const storesDistance = args.is(i, 'STOREDIST')
      if (!stores || i + 1 >= args.count || !(storesDistance || args.is(i, 'STORE'))) return undefined
      found.target = args.text(i + 1)
      found.storesDistance = storesDistance
      return i + 1
    })
    checkStoring(search, 'STORE option in GEORADIUS')
    checkCount(search)
    run(context, set, search, 'georadiusstore')
  }

export const GEORADIUS = radiusSearch('point', true)
export const GEORADIUS_RO = radiusSearch('point', false)
export const GEORADIUSBYMEMBER = radiusSearch('member', true)
export const GEORADIUSBYMEMBER_RO = radiusSearch('member', false)

function memberPoint(set: SortedSetView, member: string): Point {
  const score = set.score(member)
  if (score === undefined) throw new ReplyError(errors.noGeoMember)
  return pointOf(score)
}

function circleAt(args: Arguments, i: number): Extent {
  const radius = doubleAt(args, i, errors.radiusNotNumber)
  if (radius < 0) throw new ReplyError(errors.negativeRadius)
  return { kind: 'circle', radius, metres: unitAt(args, i + 1) }
}

function boxAt(args: Arguments, i: number): Extent {
  const width = doubleAt(args, i, errors.widthNotNumber)
  const height = doubleAt(args, i + 1, errors.heightNotNumber)
  if (width < 0 || height < 0) throw new ReplyError(errors.negativeBox)
  return { kind: 'box', width, height, metres: unitAt(args, i + 2) }
}

// ---- GEOSEARCH

const search =
  (stores: boolean): Handler =>
  (context) => {
    const { args, db } = context
    const source = stores ? 2 : 1
    const set = db.sortedSet(args.text(source))
    const wanted = newSearch()
    if (stores) wanted.target = args.text(1)
    const centre = new CentreOptions(args, set)
    parseOptions(args, source + 1, wanted, (found, i) => {
      if (stores && args.is(i, 'STOREDIST')) {
        found.storesDistance = true
        return i
      }
      return centre.take(found, i) ?? takeExtent(args, found, i)
    })
    checkStoring(wanted, 'GEOSEARCHSTORE')
    if (!centre.isGiven) throw new ReplyError(errors.noGeoCentre(args.text(0)))
    if (wanted.extent === undefined) throw new ReplyError(errors.noGeoExtent(args.text(0)))
    checkCount(wanted)
    run(context, set, wanted, 'geosearchstore')
  }

export const GEOSEARCH = search(false)
export const GEOSEARCHSTORE = search(true)

/** FROMMEMBER or FROMLONLAT, not both. */
class CentreOptions {
  readonly #args: Arguments
  readonly #set: SortedSetView | undefined
  #kind: 'member' | 'point' | undefined

  constructor(args: Arguments, set: SortedSetView | undefined) {
    this.#args = args
    this.#set = set
  }

  get isGiven(): boolean {
    return this.#kind !== undefined
  }

  take(found: Search, i: number): number | undefined {
    const args = this.#args
    if (args.is(i, 'FROMMEMBER') && i + 1 < args.count && this.#kind !== 'point') {
      this.#kind = 'member'
      if (this.#set !== undefined) found.centre = memberPoint(this.#set, args.text(i + 1))
      return i + 1
    }
    if (args.is(i, 'FROMLONLAT') && i + 2 < args.count && this.#kind !== 'member') {
      this.#kind = 'point'
      found.centre = pointAt(args, i + 1)
      return i + 2
    }
    return undefined
  }
}

/** BYRADIUS or BYBOX, not both. */
function takeExtent(args: Arguments, found: Search, i: number): number | undefined {
  if (args.is(i, 'BYRADIUS') && i + 2 < args.count && found.extent?.kind !== 'box') {
    found.extent = circleAt(args, i + 1)
    return i + 2
  }
  if (args.is(i, 'BYBOX') && i + 3 < args.count && found.extent?.kind !== 'circle') {
    found.extent = boxAt(args, i + 1)
    return i + 3
  }
  return undefined
}

// ---- searching

/** `event` tells of a result that is stored. */
function run(context: CommandContext, set: SortedSetView | undefined, search: Search, event: string): void {
  const { reply } = context
  const { centre, extent, target } = search
  const found =
    set === undefined || centre === undefined || extent === undefined
      ? []
      : chosen(pointsIn(set, shapeOf(centre, extent), search.anyCount ? search.count : 0), search)
  const metres = extent?.metres ?? 1
  if (target === undefined) {
    replyWithFound(reply, found, metres, search)
    return
  }
  const { storesDistance } = search
  const scored = found.map(
    ({ member, score, distance }) => [member, storesDistance ? distance / metres : score] as const,
  )
  storeSortedSet(context, event, target, scored)
  reply.integer(scored.length)
}

function shapeOf(centre: Point, extent: Extent): Shape {
  const { metres } = extent
  if (extent.kind === 'circle') return { kind: 'circle', centre, radius: extent.radius * metres }
  return { kind: 'box', centre, width: extent.width * metres, height: extent.height * metres }
}

/** With a limit, the first ones found. */
function pointsIn(set: SortedSetView, shape: Shape, limit: number): Found[] {
  const found: Found[] = []
  for (const cell of cellsCovering(shape)) {
    const [from, to] = scoresIn(cell)
    const start = set.countBelow(from, false)
    const end = set.countBelow(to, false)
    if (end <= start) continue
    for (const [member, score] of set.range(start, end)) {
      const point = pointOf(score)
      const distance = distanceInside(shape, point)
      if (distance === undefined) continue
      found.push({ member, score, point, distance })
      if (found.length === limit) return found
    }
  }
  return found
}

function chosen(found: Found[], { order, count }: Search): Found[] {
  if (order === 'nearest') found.sort((a, b) => a.distance - b.distance)
  if (order === 'farthest') found.sort((a, b) => b.distance - a.distance)
  if (count > 0 && found.length > count) found.length = count
  return found
}

function replyWithFound(
  reply: CommandContext['reply'],
  found: readonly Found[],
  metres: number,
  { withDistance, withHash, withPoint }: Search,
): void {
  const details = Number(withDistance) + Number(withHash) + Number(withPoint)
  reply.array(found.length)
  for (const { member, score, point, distance } of found) {
    if (details > 0) reply.array(1 + details)
    reply.bulk(member)
    if (withDistance) replyWithDistance(reply, distance / metres)
    if (withHash) reply.integer(Math.trunc(score))
    if (withPoint) replyWithPoint(reply, point)
  }
}
