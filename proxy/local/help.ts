import { writeHelp } from '#protocol/commands/describe.ts'
import type { LocalCommand } from './call.ts'

/** HELP of a container. */
export const helpOf =
  (container: string): LocalCommand =>
  ({ reply }) => {
    writeHelp(container, reply)
    return null
  }
