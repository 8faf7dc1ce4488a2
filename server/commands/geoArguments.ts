/** Points, lengths and units in requests, and points and distances in replies. */
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import type { Arguments } from './arguments.ts'
import { latitudeMax, longitudeMax, type Point } from './geohash.ts'
import { doubleAt } from './score.ts'

/** Longitude and latitude, the arguments `i` and `i + 1`. */
export function pointAt(args: Arguments, i: number): Point {
  const longitude = doubleAt(args, i)
  const latitude = doubleAt(args, i + 1)
  if (Math.abs(longitude) > longitudeMax || Math.abs(latitude) > latitudeMax)
    throw new ReplyError(errors.noPoint(sixDecimals(longitude), sixDecimals(latitude)))
  return { longitude, latitude }
}

/** As C's `%f` prints it. */
function sixDecimals(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (Object.is(value, -0)) return '-0.000000'
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(value)}.000000`
}

const units = [
  ['M', 1],
  ['KM', 1000],
  ['FT', 0.3048],
  ['MI', 1609.34],
] as const

/** Metres of the unit that argument `i` names. */
export function unitAt(args: Arguments, i: number): number {
  const found = units.find(([name]) => args.is(i, name))
  if (found === undefined) throw new ReplyError(errors.unknownUnit)
  return found[1]
}

const distanceDecimals = 4

export function replyWithDistance(reply: ReplyWriter, distance: number): void {
  reply.bulk(distance.toFixed(distanceDecimals))
}

export function replyWithPoint(reply: ReplyWriter, { longitude, latitude }: Point): void {
  reply.array(2)
  reply.doubleText(degreesText(longitude))
  reply.doubleText(degreesText(latitude))
}

const degreesDecimals = 17

/** Without trailing zeros. */
function degreesText(value: number): string {
  const text = value.toFixed(degreesDecimals).replace(/\.?0+$/, '')
  return text === '-0' ? '0' : text
}
