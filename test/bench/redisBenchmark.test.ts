import { describe, expect, it } from 'vitest'
import { parseFigures } from '#bench/load/redisBenchmark.ts'

/** As redis-benchmark 7.0.15 prints it, with lines of progress that overwrite each other. */
const report = `GET key:__rand_int__: rps=0.0 (overall: -nan) avg_msec=-nan (overall: -nan)\r                                 \r====== GET key:__rand_int__ ======
  100000 requests completed in 0.33 seconds
  50 parallel clients
  36 bytes payload

Latency by percentile distribution:
0.000% <= 0.103 milliseconds (cumulative count 8)
50.000% <= 0.327 milliseconds (cumulative count 50108)
99.219% <= 0.919 milliseconds (cumulative count 99248)
99.805% <= 1.663 milliseconds (cumulative count 99808)
99.902% <= 1.711 milliseconds (cumulative count 99908)
99.951% <= 2.311 milliseconds (cumulative count 99952)
100.000% <= 2.359 milliseconds (cumulative count 100000)

Cumulative distribution of latencies:
0.008% <= 0.103 milliseconds (cumulative count 8)
99.912% <= 1.807 milliseconds (cumulative count 99912)
100.000% <= 3.103 milliseconds (cumulative count 100000)

Summary:
  throughput summary: 306748.47 requests per second
  latency summary (msec):
          avg       min       p50       p95       p99       max
        0.348     0.096     0.327     0.455     0.839     2.359
`

describe('the report of redis-benchmark', () => {
  it('gives rate and percentiles', () => {
    expect(parseFigures(report)).toEqual({
      perSecond: 306748.47,
      p50Ms: 0.327,
      p99Ms: 0.839,
      p999Ms: 1.711,
      maxMs: 2.359,
    })
  })

  it('takes the last percentile where there are too few requests for another', () => {
    const few = report.replace(/^99\.(902|951)% .*\n/gm, '')
    expect(parseFigures(few).p999Ms).toBe(2.359)
  })

  it('is refused without figures', () => {
    expect(() => parseFigures('')).toThrow('no figures')
    expect(() => parseFigures(report.replace('306748.47', '0.00'))).toThrow('no figures')
    expect(() => parseFigures(report.slice(0, report.indexOf('latency summary')))).toThrow('no figures')
  })
})
