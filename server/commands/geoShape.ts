/**
 * Circles and boxes on the earth, and which cells must be searched for the points in one. As Redis does it (`geohash_helper.c`),
 * so that points come in the same order: the cell of the centre, of a size that it and its eight neighbours cover the
 * shape, and those neighbours of which the shape has a part. What Redis misses may be missed here too: points on the
 * other side of a pole, and such as have exactly the greatest longitude or latitude.
 */
import { type Area, areaOf, type Cell, cellOf, neighbour, type Point } from './geohash.ts'

/** Lengths are in metres. */
export type Shape =
  | { readonly kind: 'circle'; readonly centre: Point; readonly radius: number }
  | { readonly kind: 'box'; readonly centre: Point; readonly width: number; readonly height: number }

const earthRadius = 6372797.560856
/** Half of the equator in Mercator's projection. */
const mercatorMax = 20037726.37
const stepMax = 26
const radiansOfDegree = Math.PI / 180

const radians = (degrees: number): number => degrees * radiansOfDegree
const degrees = (angle: number): number => angle / radiansOfDegree

/** By the haversine formula, in metres. */
export function distanceBetween(a: Point, b: Point): number {
  const v = Math.sin((radians(b.longitude) - radians(a.longitude)) / 2)
  if (v === 0) return latitudeDistance(a, b)
  const from = radians(a.latitude)
  const to = radians(b.latitude)
  const u = Math.sin((to - from) / 2)
  const haversine = u * u + Math.cos(from) * Math.cos(to) * v * v
  // Rounding may lead beyond 1 at the other side of the earth.
  return 2 * earthRadius * Math.asin(Math.sqrt(Math.min(1, haversine)))
}

function latitudeDistance(a: Point, b: Point): number {
  return earthRadius * Math.abs(radians(b.latitude) - radians(a.latitude))
}

/** Of a point in the shape its distance from the centre, undefined of one outside. */
export function distanceInside(shape: Shape, point: Point): number | undefined {
  const { centre } = shape
  if (shape.kind === 'circle') {
    const distance = distanceBetween(centre, point)
    return distance > shape.radius ? undefined : distance
  }
  if (latitudeDistance(point, centre) > shape.height / 2) return undefined
  const sideways = { longitude: centre.longitude, latitude: point.latitude }
  if (distanceBetween(point, sideways) > shape.width / 2) return undefined
  return distanceBetween(centre, point)
}

/** Cells to be searched, in the order of searching; none twice. */
export function cellsCovering(shape: Shape): Cell[] {
  const bounds = boundsOf(shape)
  let step = estimatedStep(reachOf(shape), shape.centre.latitude)
  let middle = cellOf(shape.centre, step)
  if (step > 1 && !areNeighboursEnough(middle, bounds)) {
    step--
    middle = cellOf(shape.centre, step)
  }
  const isNeeded = step >= 2 ? neededAround(areaOf(middle), bounds) : () => true
  const cells = [middle]
  for (const [dx, dy] of directions) {
    if (!isNeeded(dx, dy)) continue
    const cell = neighbour(middle, dx, dy)
    // On a large scale opposite neighbours are the same cell.
    if (!cells.some(({ x, y }) => x === cell.x && y === cell.y)) cells.push(cell)
  }
  return cells
}

const directions = [
  [0, 1],
  [0, -1],
  [1, 0],
  [-1, 0],
  [1, 1],
  [-1, 1],
  [1, -1],
  [-1, -1],
] as const

/** From the centre to the farthest point. */
function reachOf(shape: Shape): number {
  if (shape.kind === 'circle') return shape.radius
  return Math.sqrt((shape.width / 2) * (shape.width / 2) + (shape.height / 2) * (shape.height / 2))
}

/** Cells get narrower towards the poles. */
function boundsOf(shape: Shape): Area {
  const { longitude, latitude } = shape.centre
  const height = shape.kind === 'circle' ? shape.radius : shape.height / 2
  const width = shape.kind === 'circle' ? shape.radius : shape.width / 2
  const dy = degrees(height / earthRadius)
  const nearerPole = latitude < 0 ? latitude - dy : latitude + dy
  const dx = degrees(width / earthRadius / Math.cos(radians(nearerPole)))
  return { west: longitude - dx, south: latitude - dy, east: longitude + dx, north: latitude + dy }
}

function estimatedStep(reach: number, latitude: number): number {
  if (reach === 0) return stepMax
  let step = 1
  for (let length = reach; length < mercatorMax; length *= 2) step++
  step -= 2
  if (Math.abs(latitude) > 66) step--
  if (Math.abs(latitude) > 80) step--
  return Math.max(1, Math.min(stepMax, step))
}

function areNeighboursEnough(middle: Cell, bounds: Area): boolean {
  return (
    areaOf(neighbour(middle, 0, 1)).north >= bounds.north &&
    areaOf(neighbour(middle, 0, -1)).south <= bounds.south &&
    areaOf(neighbour(middle, 1, 0)).east >= bounds.east &&
    areaOf(neighbour(middle, -1, 0)).west <= bounds.west
  )
}

/** The middle cell reaching beyond the bounds on one side, the neighbours on that side have nothing to give. */
function neededAround(middle: Area, bounds: Area): (dx: number, dy: number) => boolean {
  const west = middle.west >= bounds.west
  const south = middle.south >= bounds.south
  const east = middle.east <= bounds.east
  const north = middle.north <= bounds.north
  return (dx, dy) => !((dx < 0 && !west) || (dx > 0 && !east) || (dy < 0 && !south) || (dy > 0 && !north))
}
