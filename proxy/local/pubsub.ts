/** SUBSCRIBE and its kin. */
import type { Subscribed, SubscriptionKind } from '#protocol/pubsub/messages.ts'
import type { LocalCall, LocalCommand } from './call.ts'
import { helpOf } from './help.ts'
import type { Question } from './question.ts'

/** One line of the reply: about which name (null: about none), and how many subscriptions there are then. */
interface Line {
  name: string | null
  count: number
}

function named({ args }: LocalCall): string[] {
  const names: string[] = []
  for (let i = 1; i < args.argumentCount; i++) names.push(args.text(i))
  return names
}

/** Each name is subscribed to or no more, by `change`; `done`: the client has been told. */
function question(
  { session }: LocalCall,
  word: string,
  kind: SubscriptionKind,
  names: readonly string[],
  change: (name: string) => Subscribed | null,
  done: () => void,
): Question {
  const count = () => session.subscriptions.countFor(kind)
  const changes: Subscribed[] = []
  const lines = names.map((name): Line => {
    const made = change(name)
    if (made !== null) changes.push(made)
    return { name, count: count() }
  })
  if (lines.length === 0) lines.push({ name: null, count: count() })
  session.refreshPath()
  return {
    ...(changes.length > 0 ? { askShards: { what: 'subscribed' as const, changes } } : {}),
    answer: (_, reply) => {
      for (const line of lines) {
        reply.push(3)
        reply.bulk(word)
        if (line.name === null) reply.null()
        else reply.bulk(line.name)
        reply.integer(line.count)
      }
      done()
    },
  }
}

const subscribe =
  (word: string, kind: SubscriptionKind): LocalCommand =>
  (call) => {
    const { subscriptions } = call.session
    const names = named(call)
    const add = (name: string) => subscriptions.add(kind, name)
    return question(call, word, kind, names, add, () => {
      for (const name of names) subscriptions.listen(kind, name)
    })
  }

const unsubscribe =
  (word: string, kind: SubscriptionKind): LocalCommand =>
  (call) => {
    const { subscriptions } = call.session
    const given = named(call)
    const names = given.length > 0 ? given : subscriptions.names(kind)
    const remove = (name: string) => subscriptions.remove(kind, name)
    return question(call, word, kind, names, remove, () => {})
  }

export const pubsubCommands = {
  SUBSCRIBE: subscribe('subscribe', 'channel'),
  PSUBSCRIBE: subscribe('psubscribe', 'pattern'),
  SSUBSCRIBE: subscribe('ssubscribe', 'shardChannel'),
  UNSUBSCRIBE: unsubscribe('unsubscribe', 'channel'),
  PUNSUBSCRIBE: unsubscribe('punsubscribe', 'pattern'),
  SUNSUBSCRIBE: unsubscribe('sunsubscribe', 'shardChannel'),
  'PUBSUB|HELP': helpOf('PUBSUB'),
}
