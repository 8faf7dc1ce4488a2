/** One client as CLIENT LIST and CLIENT INFO show it, with the fields of Redis 7.2 in their order. */
import type { Client } from '#proxy/clients.ts'

/** What Redis counts and this process has no counterpart of is 0; `fd` is -1, as for Redis's clients without a socket. */
export function clientLine(client: Client, nowMs: number): string {
  const { queuedBytes, inputBytes, unreadBytes } = client
  const fields: readonly (readonly [string, string | number])[] = [
    ['id', client.id],
    ['addr', client.remoteAddress],
    ['laddr', client.localAddress],
    ['fd', -1],
    ['name', client.name],
    ['age', seconds(nowMs - client.openedMs)],
    ['idle', seconds(nowMs - client.lastRequestMs)],
    ['flags', flagsOf(client)],
    ['db', 0],
    ['sub', client.subscriptions.count('channel')],
    ['psub', client.subscriptions.count('pattern')],
    ['ssub', client.subscriptions.count('shardChannel')],
    ['multi', client.queuedCommands],
    ['qbuf', inputBytes],
    ['qbuf-free', 0],
    ['argv-mem', 0],
    ['multi-mem', queuedBytes],
    ['rbs', 0],
    ['rbp', 0],
    ['obl', 0],
    ['oll', 0],
    ['omem', unreadBytes],
    ['tot-mem', queuedBytes + inputBytes + unreadBytes],
    ['events', 'r'],
    ['cmd', client.lastCommand?.lowerName ?? 'NULL'],
    ['user', client.user.name],
    ['redir', client.tracking.isOn ? (client.tracking.redirection?.id ?? 0) : -1],
    ['resp', client.resp3 ? 3 : 2],
    ['lib-name', client.libName],
    ['lib-ver', client.libVersion],
  ]
  return `${fields.map(([name, value]) => `${name}=${value}`).join(' ')}\n`
}

function flagsOf(client: Client): string {
  let flags = ''
  if (client.isMonitor) flags += 'O'
  if (client.isSubscriber) flags += 'P'
  if (client.isBlocked) flags += 'b'
  if (client.queuedCommands >= 0) flags += 'x'
  if (client.tracking.isOn) flags += 't'
  if (client.tracking.isBroken) flags += 'R'
  if (client.tracking.mode === 'broadcast') flags += 'B'
  if (client.isClosing) flags += 'c'
  if (client.noEvict) flags += 'e'
  if (client.noTouch) flags += 'T'
  return flags === '' ? 'N' : flags
}

const seconds = (durationMs: number): number => Math.max(0, Math.floor(durationMs / 1000))
