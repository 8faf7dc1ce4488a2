/** TIME, COMMAND, and the HELP of containers whose other subcommands are not the proxy's. */
import { answerCommand } from '#protocol/commands/describe.ts'
import type { LocalCommand } from './call.ts'
import { helpOf } from './help.ts'

const TIME: LocalCommand = ({ reply, host }) => {
  const wallMs = host.clock.wallMs()
  reply.array(2)
  reply.bulk(String(Math.floor(wallMs / 1000)))
  reply.bulk(String((wallMs % 1000) * 1000))
  return null
}

const COMMAND: LocalCommand = ({ spec, args, reply }) => {
  answerCommand(spec, args, reply)
  return null
}

/** There are none; libraries ask nevertheless. */
const noModules: LocalCommand = ({ reply }) => {
  reply.array(0)
  return null
}

export const serverCommands = {
  TIME,
  COMMAND,
  'COMMAND|COUNT': COMMAND,
  'COMMAND|DOCS': COMMAND,
  'COMMAND|GETKEYS': COMMAND,
  'COMMAND|GETKEYSANDFLAGS': COMMAND,
  'COMMAND|HELP': COMMAND,
  'COMMAND|INFO': COMMAND,
  'COMMAND|LIST': COMMAND,
  'MEMORY|HELP': helpOf('MEMORY'),
  'MODULE|HELP': helpOf('MODULE'),
  'MODULE|LIST': noModules,
  'OBJECT|HELP': helpOf('OBJECT'),
  'CONFIG|HELP': helpOf('CONFIG'),
  'XGROUP|HELP': helpOf('XGROUP'),
  'XINFO|HELP': helpOf('XINFO'),
  'CRDT|HELP': helpOf('CRDT'),
}
