import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  areaOf,
  cellOf,
  geohashText,
  latitudeMax,
  longitudeMax,
  type Point,
  pointOf,
  scoreOf,
  scoresIn,
} from '#server/commands/geohash.ts'
import { cellsCovering, distanceBetween, distanceInside, type Shape } from '#server/commands/geoShape.ts'
import { TestDatabase } from './handlerDatabase.ts'

const palermo = { longitude: 13.361389, latitude: 38.115556 }
const catania = { longitude: 15.087269, latitude: 37.502669 }

const within = (max: number) => fc.double({ min: -max, max, noNaN: true })

/** Far enough from poles and date line for a search of some hundred kilometres not to touch them. */
const inlandPoint = fc.record({ longitude: within(160), latitude: within(65) })

describe('geohash', () => {
  it('gives the scores and texts that Redis documents', () => {
    expect(scoreOf(palermo)).toBe(3479099956230698)
    expect(scoreOf(catania)).toBe(3479447370796909)
    expect(geohashText(pointOf(scoreOf(palermo)))).toBe('sqc8b49rny0')
    expect(geohashText(pointOf(scoreOf(catania)))).toBe('sqdtr74hyu0')
  })

  it('finds a point again, within its cell', () => {
    const point = fc.record({ longitude: within(longitudeMax), latitude: within(latitudeMax) })
    fc.assert(
      fc.property(point, ({ longitude, latitude }) => {
        // There the score has more bits than a double: the latitude is less exact, in Redis too.
        fc.pre(longitude < longitudeMax)
        const found = pointOf(scoreOf({ longitude, latitude }))
        expect(Math.abs(found.longitude - longitude)).toBeLessThan(360 / 2 ** 26)
        expect(Math.abs(found.latitude - latitude)).toBeLessThan(171 / 2 ** 26)
      }),
    )
  })

  it('takes every score for some point, as Redis does', () => {
    const scores = [
      -1,
      -5.5,
      0.5,
      2 ** 53,
      2 ** 62,
      2 ** 63,
      -(2 ** 63),
      -(2 ** 70),
      1e300,
      Infinity,
      -Infinity,
    ]
    for (const score of scores) {
      const { longitude, latitude } = pointOf(score)
      expect(Math.abs(longitude)).toBeLessThanOrEqual(longitudeMax)
      expect(Math.abs(latitude)).toBeLessThanOrEqual(latitudeMax)
    }
  })

  it('has the scores of a cell in one range', () => {
    fc.assert(
      fc.property(inlandPoint, fc.integer({ min: 1, max: 26 }), (point, step) => {
        const cell = cellOf(point, step)
        const [from, to] = scoresIn(cell)
        const score = scoreOf(point)
        const { west, south, east, north } = areaOf(cell)
        expect(from <= score && score < to).toBe(true)
        // Edges are rounded.
        expect(west - point.longitude).toBeLessThan(1e-9)
        expect(point.longitude - east).toBeLessThan(1e-9)
        expect(south - point.latitude).toBeLessThan(1e-9)
        expect(point.latitude - north).toBeLessThan(1e-9)
      }),
    )
  })
})

describe('a search', () => {
  /** What lies in the shape is in one of its cells, and in one only. */
  function isCovered(shape: Shape, point: Point): boolean {
    const score = scoreOf(point)
    if (distanceInside(shape, pointOf(score)) === undefined) return true
    const found = cellsCovering(shape).filter((cell) => {
      const [from, to] = scoresIn(cell)
      return from <= score && score < to
    })
    return found.length === 1
  }

  const kilometres = fc.double({ min: 0, max: 500, noNaN: true })
  const offset = fc.record({ dx: within(8), dy: within(8) })
  const moved = ({ longitude, latitude }: Point, { dx, dy }: { dx: number; dy: number }): Point => ({
    longitude: longitude + dx,
    latitude: latitude + dy,
  })

  it('finds everything within a circle', () => {
    fc.assert(
      fc.property(inlandPoint, kilometres, offset, (centre, radius, away) =>
        isCovered({ kind: 'circle', centre, radius: radius * 1000 }, moved(centre, away)),
      ),
      { numRuns: 5000 },
    )
  })

  it('finds everything within a box', () => {
    fc.assert(
      fc.property(inlandPoint, kilometres, kilometres, offset, (centre, width, height, away) =>
        isCovered({ kind: 'box', centre, width: width * 1000, height: height * 1000 }, moved(centre, away)),
      ),
      { numRuns: 5000 },
    )
  })

  it('goes around the earth, whatever the radius', () => {
    const db = new TestDatabase()
    db.ask('GEOADD g 179.9 1 east -179.9 1 west 0 0 middle 179.999 85.051 corner -180 -85.05112878 other')
    expect(db.ask('GEOSEARCH g FROMLONLAT 179.95 1 BYRADIUS 100 km ASC')).toEqual(['east', 'west'])
    for (const radius of ['30000 km', '1e300 m', 'inf m']) {
      expect(db.ask(`GEOSEARCH g FROMLONLAT 10 10 BYRADIUS ${radius}`)).toHaveLength(5)
    }
    expect(distanceBetween({ longitude: -90, latitude: 30 }, { longitude: 90, latitude: -30 })).toBeCloseTo(
      Math.PI * 6372797.560856,
      0,
    )
  })
})

describe('geo commands', () => {
  it('print as Redis does', () => {
    const db = new TestDatabase()
    db.ask('GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania')
    expect(db.ask('GEOPOS Sicily Palermo none')).toEqual([
      ['13.36138933897018433', '38.11555639549629859'],
      null,
    ])
    expect(db.raw3('GEOPOS', 'Sicily', 'Palermo', 'none')).toBe(
      '*2\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n_\r\n',
    )
    expect(db.raw3('GEODIST', 'Sicily', 'Palermo', 'Catania', 'km')).toBe('$8\r\n166.2742\r\n')
    expect(
      db.ask('GEOSEARCH Sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD WITHDIST WITHHASH'),
    ).toEqual([
      ['Catania', '56.4413', 3479447370796909, ['15.08726745843887329', '37.50266842333162032']],
      ['Palermo', '190.4424', 3479099956230698, ['13.36138933897018433', '38.11555639549629859']],
    ])
    expect(db.ask('GEOADD Sicily -0 86 x')).toBe('-ERR invalid longitude,latitude pair -0.000000,86.000000')
    expect(db.ask('GEOADD Sicily 1e300 0 x')).toMatch(
      /^-ERR invalid longitude,latitude pair 1000000000000000052504\d+\.000000,0\.000000$/,
    )
  })

  it('store distances in the unit asked for', () => {
    const db = new TestDatabase()
    db.ask('GEOADD g 13.361389 38.115556 a 15.087269 37.502669 b')
    expect(db.ask('GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 200 km STOREDIST')).toBe(2)
    expect(Number(db.ask('ZSCORE d b'))).toBeCloseTo(166.2741516, 6)
    expect(db.ask('GEORADIUS g 15 37 100 km STORE g')).toBe(1)
    expect(db.ask('ZRANGE g 0 -1')).toEqual(['b'])
    expect(db.ask('GEORADIUSBYMEMBER g b 1 m STORE d COUNT 1 STOREDIST d')).toBe(1)
    expect(db.ask('ZRANGE d 0 -1 WITHSCORES')).toEqual(['b', '0'])
    expect(db.ask('GEOSEARCHSTORE d none FROMLONLAT 0 0 BYRADIUS 1 m')).toBe(0)
    expect(db.ask('EXISTS d')).toBe(0)
  })
})
