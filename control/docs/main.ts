/** `npm run docs`: writes the files that are generated from tables. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { generatedFiles } from './generated.ts'

const root = join(import.meta.dirname, '..', '..')

for (const [path, content] of generatedFiles()) {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), content)
  console.log(path)
}
