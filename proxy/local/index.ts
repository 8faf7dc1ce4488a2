/** The commands that the proxy answers itself, by their row of the table. */
import { type CommandSpec, commandNamed } from '#protocol/commands/index.ts'
import { invariant } from '#runtime/invariant.ts'
import { aclCommands } from './acl.ts'
import type { LocalCommand } from './call.ts'
import { clientCommands } from './client.ts'
import { configCommands } from './config.ts'
import { connectionCommands } from './connection.ts'
import { crdtCommands } from './crdt.ts'
import { functionCommands } from './function.ts'
import { infoCommands } from './info.ts'
import { latencyCommands } from './latency.ts'
import { memoryCommands } from './memory.ts'
import { monitorCommands } from './monitor.ts'
import { pubsubCommands } from './pubsub.ts'
import { scriptCommands } from './script.ts'
import { serverCommands } from './server.ts'
import { slowlogCommands } from './slowlog.ts'
import { snapshotCommands } from './snapshot.ts'
import { trackingCommands } from './tracking.ts'

const byName: Readonly<Record<string, LocalCommand>> = {
  ...aclCommands,
  ...clientCommands,
  ...configCommands,
  ...connectionCommands,
  ...crdtCommands,
  ...functionCommands,
  ...infoCommands,
  ...latencyCommands,
  ...memoryCommands,
  ...monitorCommands,
  ...pubsubCommands,
  ...scriptCommands,
  ...serverCommands,
  ...slowlogCommands,
  ...snapshotCommands,
  ...trackingCommands,
}

export const localCommands: ReadonlyMap<CommandSpec, LocalCommand> = new Map(
  Object.entries(byName).map(([name, command]) => {
    const spec = commandNamed(name)
    invariant(spec !== undefined, 'a command is in the table', { name })
    return [spec, command] as const
  }),
)
