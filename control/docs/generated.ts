/** Every file of the repository that is written from a table. */
import { exampleFile, settingsPage } from '#config/describe.ts'
import { commandPages } from './commands.ts'
import { compatibilityPage } from './compatibility.ts'

/** Content by path, from the root of the project. */
export function generatedFiles(): Map<string, string> {
  return new Map([
    ...commandPages(),
    ['docs/compatibility.md', compatibilityPage()],
    ['docs/configuration.md', settingsPage()],
    ['config/example.toml', exampleFile()],
  ])
}
