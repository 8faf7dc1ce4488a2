/**
 * Points on the earth as numbers. A cell halves the range of longitudes and latitudes `step` times each; the bits of both,
 * interleaved, are the cell's number, so that near points mostly have near numbers. The 52 bits of step 26 are the score
 * of a point, which a double holds exactly. Latitudes end where Mercator's projection does.
 *
 * The arithmetic is that of Redis (`geohash.c`), whose scores other programs know: no step may be done in another order.
 */

export const longitudeMax = 180
export const latitudeMax = 85.05112878
const stepMax = 26
const bits13 = 0x1fff

export interface Point {
  readonly longitude: number
  readonly latitude: number
}

/** `x` counts cells from west to east, `y` from south to north. */
export interface Cell {
  readonly x: number
  readonly y: number
  readonly step: number
}

export interface Area {
  readonly west: number
  readonly south: number
  readonly east: number
  readonly north: number
}

/** The cell of `step` in which a point lies; one on the eastern or northern edge gets a number of its own beyond the last. */
export function cellOf({ longitude, latitude }: Point, step: number): Cell {
  const x = Math.floor(share(longitude, longitudeMax) * 2 ** step)
  const y = Math.floor(share(latitude, latitudeMax) * 2 ** step)
  return { x, y, step }
}

const share = (value: number, max: number): number => (value + max) / (2 * max)

export function scoreOf(point: Point): number {
  return cellNumber(cellOf(point, stepMax))
}

/** Scores of the points in a cell: from the first, included, to the second, excluded. */
export function scoresIn(cell: Cell): [from: number, to: number] {
  const scale = 4 ** (stepMax - cell.step)
  const number = cellNumber(cell)
  return [number * scale, (number + 1) * scale]
}

/** The middle of the cell that a score stands for. Any score stands for one: Redis takes its 64 bits as they are. */
export function pointOf(score: number): Point {
  const whole = Math.trunc(Math.min(score, 2 ** 64))
  const number = whole === 2 ** 64 ? 0 : Math.max(whole, -(2 ** 63))
  const low = (number % 2 ** 32) >>> 0
  const high = Math.floor(number / 2 ** 32) >>> 0
  const y = squash(low) + squash(high) * 2 ** 16
  const x = squash(low >>> 1) + squash(high >>> 1) * 2 ** 16
  const { west, south, east, north } = areaOf({ x, y, step: stepMax })
  return {
    longitude: clamp((west + east) / 2, longitudeMax),
    latitude: clamp((south + north) / 2, latitudeMax),
  }
}

const clamp = (value: number, max: number): number => Math.max(-max, Math.min(max, value))

export function areaOf({ x, y, step }: Cell): Area {
  const cells = 2 ** step
  const edge = (index: number, max: number): number => -max + ((index >>> 0) / cells) * (2 * max)
  return {
    west: edge(x, longitudeMax),
    south: edge(y, latitudeMax),
    east: edge(x + 1, longitudeMax),
    north: edge(y + 1, latitudeMax),
  }
}

/** The cell `dx` to the east and `dy` to the north; the last is followed by the first. */
export function neighbour({ x, y, step }: Cell, dx: number, dy: number): Cell {
  const last = 2 ** step - 1
  return { x: dx === 0 ? x : (x + dx) & last, y: dy === 0 ? y : (y + dy) & last, step }
}

/** Bits of `y` at even places, of `x` at odd ones. Both have up to 27 bits: more than bit operations take at once. */
function cellNumber({ x, y }: Cell): number {
  const low = spread(y & bits13) + 2 * spread(x & bits13)
  const high = spread(y >>> 13) + 2 * spread(x >>> 13)
  return high * 2 ** 26 + low
}

/** Bit i goes to bit 2i, of up to 16. */
function spread(value: number): number {
  let bits = (value | (value << 8)) & 0x00ff00ff
  bits = (bits | (bits << 4)) & 0x0f0f0f0f
  bits = (bits | (bits << 2)) & 0x33333333
  return (bits | (bits << 1)) & 0x55555555
}

/** Bit 2i goes to bit i; the others are dropped. */
function squash(value: number): number {
  let bits = value & 0x55555555
  bits = (bits | (bits >>> 1)) & 0x33333333
  bits = (bits | (bits >>> 2)) & 0x0f0f0f0f
  bits = (bits | (bits >>> 4)) & 0x00ff00ff
  return (bits | (bits >>> 8)) & 0xffff
}

const alphabet = '0123456789bcdefghjkmnpqrstuvwxyz'
const standardLatitudeMax = 90
const standardTextLength = 11

/** The well-known text form, whose latitudes go from pole to pole. The eleventh character has no bits left: always 0. */
export function geohashText({ longitude, latitude }: Point): string {
  const x = Math.floor(share(longitude, longitudeMax) * 2 ** stepMax)
  const y = Math.floor(share(latitude, standardLatitudeMax) * 2 ** stepMax)
  const number = cellNumber({ x, y, step: stepMax })
  let text = ''
  for (let shift = 47; shift >= 0; shift -= 5) text += alphabet.charAt(Math.floor(number / 2 ** shift) % 32)
  return text.padEnd(standardTextLength, '0')
}
