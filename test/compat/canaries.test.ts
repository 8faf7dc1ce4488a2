/** Planted faults that the comparison with redis-server has to find: a check that can't fail is none. */
import { describe, expect, it } from 'vitest'
import { type Arguments, CommandArguments } from '#server/commands/arguments.ts'
import type { CommandContext, Handler } from '#server/commands/context.ts'
import { handlers } from '#server/commands/index.ts'
import { idAt } from '#server/commands/streamArguments.ts'
import { scan } from '#test/commands/ask.ts'
import { HandlerDatabase } from '#test/commands/handlerDatabase.ts'
import { SeededRandom, seedFromEnv } from '#test/seed.ts'
import { HandlerSide } from './handlerSide.ts'
import { redisForTests } from './redisSide.ts'

const redis = redisForTests()

const requestsMax = 120_000

interface Fault {
  title: string
  command: string
  handler: Handler
}

/** The real handler, and something after it. */
const then =
  (command: string, spoil: (context: CommandContext) => void): Handler =>
  (context) => {
    handlers[command]?.(context)
    spoil(context)
  }

const never = Number.POSITIVE_INFINITY

const faults: readonly Fault[] = [
  {
    title: 'RENAME forgets the TTL',
    command: 'RENAME',
    handler: then('RENAME', ({ args, write }) => write.expire(args.text(2), never)),
  },
  {
    title: 'SET takes KEEPTTL for nothing',
    command: 'SET',
    handler: then('SET', ({ args, write }) => {
      for (let i = 3; i < args.count; i++) if (args.is(i, 'KEEPTTL')) write.expire(args.text(1), never)
    }),
  },
  {
    title: 'SPOP leaves the members',
    command: 'SPOP',
    handler: (context) => {
      const members = [...(context.db.set(context.args.text(1))?.members() ?? [])]
      handlers['SPOP']?.(context)
      if (members.length > 0) context.write.setAdd(context.args.text(1), members)
    },
  },
  {
    title: 'SSCAN passes one over',
    command: 'SSCAN',
    handler: ({ args, db, reply }) => {
      const members = [...(db.set(args.text(1))?.members() ?? [])].slice(1)
      reply.array(2)
      reply.bulk('0')
      reply.array(members.length)
      for (const member of members) reply.bulk(member)
    },
  },
  {
    title: 'HGETALL is no map in RESP3',
    command: 'HGETALL',
    handler: (context) => {
      const { resp3 } = context.reply
      context.reply.resp3 = false
      handlers['HGETALL']?.(context)
      context.reply.resp3 = resp3
    },
  },
  {
    title: 'SRANDMEMBER repeats a member',
    command: 'SRANDMEMBER',
    handler: (context) => {
      const { args, db, reply } = context
      const size = db.set(args.text(1))?.size ?? 0
      if (args.count !== 3 || Number(args.integer(2)) < 2 || size < 2)
        return handlers['SRANDMEMBER']?.(context)
      const [member = ''] = db.set(args.text(1))?.members() ?? []
      const count = Math.min(size, Number(args.integer(2)))
      reply.array(count)
      for (let i = 0; i < count; i++) reply.bulk(member)
    },
  },
  {
    title: 'DUMP has a wrong checksum',
    command: 'DUMP',
    handler: then('DUMP', ({ reply }) => {
      if (reply.length > 10) reply.bytes[reply.length - 3] = (reply.bytes[reply.length - 3] as number) ^ 1
    }),
  },
  {
    title: 'TTL answers in milliseconds',
    command: 'TTL',
    handler: (context) => handlers['PTTL']?.(context),
  },
  {
    title: 'SCARD takes any value for an empty set',
    command: 'SCARD',
    handler: (context) => {
      if (context.db.type(context.args.text(1)) === 'set') handlers['SCARD']?.(context)
      else context.reply.integer(0)
    },
  },
  {
    title: 'SINTERCARD knows no LIMIT',
    command: 'SINTERCARD',
    handler: (context) => {
      const { args } = context
      const count = Math.min(args.count, 2 + Number(args.integer(1)))
      handlers['SINTERCARD']?.({ ...context, args: argumentsOf(args.texts(0, count)) })
    },
  },
  {
    title: 'PFMERGE leaves out its last source',
    command: 'PFMERGE',
    handler: (context) => {
      const { args } = context
      const texts = args.texts(0)
      handlers['PFMERGE']?.({ ...context, args: argumentsOf(texts.slice(0, Math.max(2, texts.length - 1))) })
    },
  },
  {
    title: 'PFCOUNT does not keep its estimate',
    command: 'PFCOUNT',
    handler: then('PFCOUNT', ({ args, db }) => db.registers(args.text(1))?.outdate()),
  },
  {
    title: 'ZADD takes GT for CH',
    command: 'ZADD',
    handler: (context) => {
      const { args } = context
      handlers['ZADD']?.({
        ...context,
        args: changed(args, (i, text) => (i > 1 && i < 6 && text.toUpperCase() === 'GT' ? 'CH' : text)),
      })
    },
  },
  {
    title: 'ZRANGEBYSCORE includes what ( excludes',
    command: 'ZRANGEBYSCORE',
    handler: (context) => {
      const { args } = context
      handlers['ZRANGEBYSCORE']?.({
        ...context,
        args: changed(args, (i, text) => (i > 1 && i < 4 ? text.replace(/^\(/, '') : text)),
      })
    },
  },
  {
    title: 'ZUNIONSTORE adds up whatever is asked',
    command: 'ZUNIONSTORE',
    handler: (context) => {
      const { args } = context
      handlers['ZUNIONSTORE']?.({
        ...context,
        args: changed(args, (_, text) => (/^(min|max)$/i.test(text) ? 'SUM' : text)),
      })
    },
  },
  {
    title: 'ZPOPMIN leaves the member',
    command: 'ZPOPMIN',
    handler: (context) => {
      const key = context.args.text(1)
      const set = context.db.type(key) === 'zset' ? context.db.sortedSet(key) : undefined
      const [first] = set?.range(0, 1) ?? []
      handlers['ZPOPMIN']?.(context)
      if (first !== undefined) context.write.zsetAdd(key, ...first)
    },
  },
  {
    title: 'GEOSEARCH looks too far',
    command: 'GEOSEARCH',
    handler: (context) => {
      const { args } = context
      handlers['GEOSEARCH']?.({
        ...context,
        args: changed(args, (i, text) =>
          i > 2 && (args.is(i - 1, 'BYBOX') || args.is(i - 1, 'BYRADIUS')) ? `${text}0` : text,
        ),
      })
    },
  },
  {
    title: 'XACK leaves what it acknowledges',
    command: 'XACK',
    handler: ({ args, db, reply }) => {
      const group =
        db.type(args.text(1)) === 'stream' ? db.stream(args.text(1))?.group(args.text(2)) : undefined
      if (group === undefined || args.count > 4) reply.integer(0)
      else reply.integer(group.local?.firstPending === idAt(args, 3) ? 1 : 0)
    },
  },
  {
    title: 'XREADGROUP takes NOACK for nothing',
    command: 'XREADGROUP',
    handler: (context) => {
      const texts = context.args.texts(0).filter((text) => text.toUpperCase() !== 'NOACK')
      handlers['XREADGROUP']?.({ ...context, args: argumentsOf(texts) })
    },
  },
  {
    title: 'XCLAIM takes JUSTID for nothing',
    command: 'XCLAIM',
    handler: (context) => {
      const texts = context.args.texts(0)
      const told = texts.filter((text, i) => i < 6 || text.toUpperCase() !== 'JUSTID')
      handlers['XCLAIM']?.({ ...context, args: argumentsOf(told) })
    },
  },
  {
    title: 'SORT knows no DESC',
    command: 'SORT',
    handler: (context) => {
      handlers['SORT']?.({
        ...context,
        args: changed(context.args, (_, word) => (/^desc$/i.test(word) ? 'ASC' : word)),
      })
    },
  },
  {
    title: 'XTRIM leaves one entry more',
    command: 'XTRIM',
    handler: (context) => {
      const { args } = context
      handlers['XTRIM']?.({
        ...context,
        args: changed(args, (i, text) =>
          args.count === 4 && i === 3 && /^[0-9]+$/.test(text) ? `${Number(text) + 1}` : text,
        ),
      })
    },
  },
  {
    title: 'SORT stores over the elements that are there',
    command: 'SORT',
    handler: (context) => {
      const target = context.args.texts(0).findLast((_, i) => i > 2 && context.args.is(i - 1, 'STORE'))
      if (target === undefined || context.db.type(target) !== 'list') return handlers['SORT']?.(context)
      const before = [...(context.db.list(target)?.range(0, 1) ?? [])]
      handlers['SORT']?.(context)
      if (context.db.type(target) === 'list') context.write.listPush(target, 'left', before)
    },
  },
  {
    title: 'GEODIST answers in metres whatever is asked',
    command: 'GEODIST',
    handler: (context) => {
      const { args } = context
      handlers['GEODIST']?.({
        ...context,
        args: changed(args, (i, text) => (i === 4 && /^(km|ft|mi)$/i.test(text) ? 'M' : text)),
      })
    },
  },
]

/** The same arguments but for some texts. */
function changed(args: Arguments, change: (i: number, text: string) => string): Arguments {
  return argumentsOf(args.texts(0).map((text, i) => change(i, text)))
}

const argumentsOf = (texts: readonly string[]): Arguments => new CommandArguments(scan(texts))

describe('the comparison finds that', () => {
  for (const { title, command, handler } of faults) {
    it(title, async () => {
      const seed = seedFromEnv()
      const database = new HandlerDatabase({
        random: new SeededRandom(seed),
        replaced: { [command]: handler },
      })
      const comparing = redis.compare(new HandlerSide(database), {
        seed,
        requests: requestsMax,
        session: false,
        sharded: true,
        favoured: command,
      })
      await expect(comparing).rejects.toThrow(/own: /)
    })
  }
})
