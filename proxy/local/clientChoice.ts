/** The clients of this worker that CLIENT LIST shows and CLIENT KILL ends, whichever worker was asked. */
import type { ClientChoice, ListedClient } from '#protocol/frames/worker.ts'
import type { Client } from '#proxy/clients.ts'
import type { SessionHost } from '#proxy/session/host.ts'
import { clientLine } from './clientLine.ts'

export function listChosen(host: SessionHost, choice: ClientChoice): ListedClient[] {
  const nowMs = host.clock.monotonicMs()
  return chosen(host, choice).map((client) => ({ id: client.id, line: clientLine(client, nowMs) }))
}

/** Returns how many. Who asks for its own end is still told so. */
export function killChosen(host: SessionHost, choice: ClientChoice, asker: Client | null): number {
  const clients = chosen(host, choice).filter(({ isClosing }) => !isClosing)
  for (const client of clients) {
    if (client === asker) client.closeAfterReplies()
    else client.kill()
  }
  return clients.length
}

function chosen(host: SessionHost, choice: ClientChoice): Client[] {
  const { ids, address, localAddress, type, user, ageSeconds, exceptId } = choice
  const openedMsMax = host.clock.monotonicMs() - (ageSeconds ?? 0) * 1000
  const clients =
    ids === undefined
      ? host.clients.list()
      : ids.map((id) => host.clients.get(id)).filter((client) => client !== undefined)
  return clients.filter(
    (client) =>
      client.id !== exceptId &&
      (type === undefined || type === typeOf(client)) &&
      (address === undefined || client.remoteAddress === address) &&
      (user === undefined || client.user.name === user) &&
      (localAddress === undefined || client.localAddress === localAddress) &&
      (ageSeconds === undefined || client.openedMs <= openedMsMax),
  )
}

/** Of Redis's kinds there are these two here. */
const typeOf = ({ isSubscriber }: Client): string => (isSubscriber ? 'pubsub' : 'normal')
