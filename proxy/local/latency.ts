/** LATENCY: of all shards and workers of this node together. */
import { commandNamed } from '#protocol/commands/index.ts'
import { cumulative, joinedHistograms, totalOf } from '#protocol/frames/durations.ts'
import { joinedEvents, type LatencyEvent, type LatencyEvents, readLatency } from '#protocol/frames/latency.ts'
import { errors } from '#protocol/resp/errors.ts'
import type { ReplyWriter } from '#protocol/resp/replyWriter.ts'
import { isJsonObject } from '#runtime/jsonObject.ts'
import type { LocalCall, LocalCommand } from './call.ts'
import { helpOf } from './help.ts'
import { latencyGraph } from './latencyGraph.ts'
import type { Answers, Question } from './question.ts'
import { latencyOf } from './workerFigures.ts'

const askAll = { askShards: { what: 'latency' }, askWorkers: { what: 'latency' } } as const

/** Of everybody. */
function latencies({ host }: LocalCall, { shards, workers }: Answers) {
  return [latencyOf(host), ...[...shards, ...workers].map(({ value }) => readLatency(value))]
}

const eventsOf = (call: LocalCall, answers: Answers): LatencyEvents =>
  joinedEvents(latencies(call, answers).map(({ events }) => events))

/** Clients name what they like. */
const eventNamed = (events: LatencyEvents, name: string): LatencyEvent | undefined =>
  Object.hasOwn(events, name) ? events[name] : undefined

const askedEvents = (
  call: LocalCall,
  write: (events: LatencyEvents, reply: ReplyWriter) => void,
): Question => ({
  ...askAll,
  answer: (answers, reply) => write(eventsOf(call, answers), reply),
})

const LATEST: LocalCommand = (call) =>
  askedEvents(call, (events, reply) => {
    const entries = Object.entries(events)
    reply.array(entries.length)
    for (const [name, { samples, greatestMs }] of entries) {
      const [seconds, durationMs] = samples.at(-1) ?? [0, 0]
      reply.array(4)
      reply.bulk(name)
      for (const figure of [seconds, durationMs, greatestMs]) reply.integer(figure)
    }
  })

const HISTORY: LocalCommand = (call) => {
  const event = call.args.text(2)
  return askedEvents(call, (events, reply) => {
    const samples = eventNamed(events, event)?.samples ?? []
    reply.array(samples.length)
    for (const sample of samples) {
      reply.array(2)
      for (const figure of sample) reply.integer(figure)
    }
  })
}

const GRAPH: LocalCommand = (call) => {
  const name = call.args.text(2)
  return askedEvents(call, (events, reply) => {
    const event = eventNamed(events, name)
    if (event === undefined) reply.error(errors.noLatencySamples(name))
    else reply.verbatim('txt', latencyGraph(name, event, Math.floor(call.host.clock.wallMs() / 1000)))
  })
}

const RESET: LocalCommand = ({ args, host }) => {
  const events: string[] = []
  for (let i = 2; i < args.argumentCount; i++) events.push(args.text(i))
  const own = host.observation.latency.reset(events)
  return {
    askShards: { what: 'resetLatency', events },
    askWorkers: { what: 'resetLatency', events },
    answer: ({ shards, workers }, reply) => {
      const others = [...shards, ...workers].flatMap(({ value }) => namesIn(value))
      reply.integer(new Set([...own, ...others]).size)
    },
  }
}

const namesIn = (answer: unknown): string[] =>
  isJsonObject(answer) && Array.isArray(answer['reset']) ? answer['reset'].map(String) : []

/** What may be done about each event. */
const advice: Readonly<Record<string, string>> = {
  command:
    'SLOWLOG GET tells which commands take long: look for those that go through many elements or keys.',
  'fast-command':
    'Commands that take constant time were held up: large values, or a machine that is short of CPU or memory (INFO cpu, slowest_turn_ms in INFO stats).',
  'expire-cycle': 'Many keys expire at the same time: spread their times to live.',
  'eviction-cycle': 'Keys are evicted: raise memory_size, or keep less.',
  'aof-write': 'The disk takes long to take the log: look at what else writes to it.',
  'aof-fsync-always':
    'The disk takes long to make writes durable: a faster one, or the persistence `everysec`, makes replies faster.',
  loop: 'Turns of the event loop began late: a slow command, a snapshot, or a machine that is short of CPU.',
}

const DOCTOR: LocalCommand = (call) =>
  askedEvents(call, (events, reply) => {
    const found = Object.entries(events)
    const isOff = call.host.observation.latency.thresholdMs === 0
    if (isOff)
      reply.verbatim(
        'txt',
        'Nothing is watched: set latency-monitor-threshold to the milliseconds that are too long (CONFIG SET, or latency_threshold_ms in the file of the node).',
      )
    else if (found.length === 0) reply.verbatim('txt', 'Nothing took too long.')
    else
      reply.verbatim(
        'txt',
        found
          .map(([name, { samples, greatestMs }]) => {
            const average = samples.reduce((sum, [, durationMs]) => sum + durationMs, 0) / samples.length
            return `${name}: ${samples.length} samples, ${average.toFixed(0)} ms on average, ${greatestMs} ms at most. ${advice[name] ?? ''}`
          })
          .join('\n'),
      )
  })

/** All, or those that are named; a container stands for its subcommands. */
function chosenNames({ args }: LocalCall): ReadonlySet<string> | null {
  if (args.argumentCount === 2) return null
  const names = new Set<string>()
  for (let i = 2; i < args.argumentCount; i++) {
    const spec = commandNamed(args.text(i))
    for (const each of spec?.isContainer ? spec.subcommands : []) names.add(each.lowerName)
    if (spec !== undefined) names.add(spec.lowerName)
  }
  return names
}

const HISTOGRAM: LocalCommand = (call) => {
  const chosen = chosenNames(call)
  return {
    ...askAll,
    answer: (answers, reply) => {
      const all = joinedHistograms(latencies(call, answers).map(({ histograms }) => histograms))
      const shown = [...all].filter(([name]) => chosen?.has(name) ?? true)
      reply.map(shown.length)
      for (const [name, counts] of shown) {
        const steps = cumulative(counts)
        reply.bulk(name)
        reply.map(2)
        reply.bulk('calls')
        reply.integer(totalOf(counts))
        reply.bulk('histogram_usec')
        reply.map(steps.length)
        for (const [upToUs, count] of steps) {
          reply.integer(upToUs)
          reply.integer(count)
        }
      }
    },
  }
}

export const latencyCommands = {
  'LATENCY|DOCTOR': DOCTOR,
  'LATENCY|GRAPH': GRAPH,
  'LATENCY|HELP': helpOf('LATENCY'),
  'LATENCY|HISTOGRAM': HISTOGRAM,
  'LATENCY|HISTORY': HISTORY,
  'LATENCY|LATEST': LATEST,
  'LATENCY|RESET': RESET,
}
