/** The commands that the proxy answers itself, by their row of the table. */
import { type CommandSpec, commandNamed } from '#protocol/commands/index.ts'
import { invariant } from '#runtime/invariant.ts'
import type { LocalCommand } from './call.ts'
import { clientCommands } from './client.ts'
import { configCommands } from './config.ts'
import { connectionCommands } from './connection.ts'
import { crdtCommands } from './crdt.ts'
import { infoCommands } from './info.ts'
import { memoryCommands } from './memory.ts'
import { serverCommands } from './server.ts'
import { snapshotCommands } from './snapshot.ts'

const byName: Readonly<Record<string, LocalCommand>> = {
  ...clientCommands,
  ...configCommands,
  ...connectionCommands,
  ...crdtCommands,
  ...infoCommands,
  ...memoryCommands,
  ...serverCommands,
  ...snapshotCommands,
}

export const localCommands: ReadonlyMap<CommandSpec, LocalCommand> = new Map(
  Object.entries(byName).map(([name, command]) => {
    const spec = commandNamed(name)
    invariant(spec !== undefined, 'a command is in the table', { name })
    return [spec, command] as const
  }),
)
