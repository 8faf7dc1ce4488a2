/** The project's own files, as text. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export const root = join(import.meta.dirname, '..', '..')

export interface SourceFile {
  /** From the root of the project, with slashes. */
  readonly path: string
  readonly text: string
}

const notOurs = new Set(['node_modules', '.git', '.types', '.lab', 'coverage', 'fixtures'])

export function projectPaths(): string[] {
  const paths: string[] = []
  const pending = [root]
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (notOurs.has(entry.name)) continue
      const path = join(folder, entry.name)
      if (entry.isDirectory()) pending.push(path)
      else paths.push(relative(root, path).replaceAll('\\', '/'))
    }
  }
  return paths.sort()
}

export function sourceFiles(): SourceFile[] {
  return projectPaths()
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}
