/** Messages to subscribers, and who there is. */
import { globMatches } from '#protocol/commands/globPattern.ts'
import type { pubsubCommands } from '#protocol/commands/pubsub.ts'
import type { ChannelKind } from '#protocol/pubsub/messages.ts'
import { errors, ReplyError } from '#protocol/resp/errors.ts'
import type { Handler, Handlers } from './context.ts'

const publish =
  (kind: ChannelKind): Handler =>
  ({ args, pubsub, reply }) => {
    const { bytes } = args
    reply.integer(
      pubsub.publish({ kind, channel: args.text(1), bytes, start: args.start(2), end: args.end(2) }),
    )
  }

const channels =
  (kind: ChannelKind): Handler =>
  ({ args, pubsub, reply }) => {
    if (args.count > 3) throw new ReplyError(errors.wrongSubcommandArity('PUBSUB', args.text(1)))
    const names = [...pubsub.names(kind)]
    reply.bulks(args.count === 2 ? names : names.filter((name) => globMatches(args.text(2), name)))
  }

const numbers =
  (kind: ChannelKind): Handler =>
  ({ args, pubsub, reply }) => {
    reply.array((args.count - 2) * 2)
    for (let i = 2; i < args.count; i++) {
      const name = args.text(i)
      reply.bulk(name)
      reply.integer(pubsub.clientsOf(kind, name))
    }
  }

export const pubsubHandlers = {
  PUBLISH: publish('channel'),
  SPUBLISH: publish('shardChannel'),
  'PUBSUB|CHANNELS': channels('channel'),
  'PUBSUB|NUMPAT': ({ pubsub, reply }) => reply.integer(pubsub.count('pattern')),
  'PUBSUB|NUMSUB': numbers('channel'),
  'PUBSUB|SHARDCHANNELS': channels('shardChannel'),
  'PUBSUB|SHARDNUMSUB': numbers('shardChannel'),
} satisfies Handlers<typeof pubsubCommands>
