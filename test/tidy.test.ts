/** The rules of the house that neither the compiler nor Biome can check, and the proof that they can fail. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { commands } from '#protocol/commands/index.ts'
import { runByShard } from '#protocol/commands/table.ts'
import { handlers } from '#server/commands/index.ts'
import { layerFaults, layers } from './tidy/layers.ts'
import { linesOf, rules } from './tidy/rules.ts'
import { projectPaths, root, sourceFiles } from './tidy/sourceFiles.ts'

/** Longer files than these are to be split; so many may wait for it. */
const guideLines = 500
const filesOverGuideMax = 8

const files = sourceFiles()

describe.each(rules.map((rule) => [rule.name, rule] as const))('%s', (_, rule) => {
  it('holds', () => {
    const faults = files
      .filter(({ path }) => rule.appliesTo(path))
      .flatMap((file) => rule.find(file).map((fault) => `${file.path}: ${fault}`))
    expect(faults).toEqual([])
  })

  it.each(rule.canaries)('rejects $path: $text', (file) => {
    expect(rule.appliesTo(file.path)).toBe(true)
    expect(rule.find(file)).not.toEqual([])
  })

  it.each(rule.innocents)('lets $path pass: $text', (file) => {
    expect(rule.appliesTo(file.path) ? rule.find(file) : []).toEqual([])
  })
})

describe('the files', () => {
  it('are found', () => {
    const paths = files.map(({ path }) => path)
    expect(paths).toContain('runtime/ports.ts')
    expect(paths).toContain('test/tidy.test.ts')
    expect(paths.some((path) => path.includes('node_modules'))).toBe(false)
  })

  it(`are seldom longer than ${guideLines} lines`, () => {
    const long = files.filter(({ text }) => linesOf(text) > guideLines)
    const list = long.map(({ path, text }) => `${path}: ${linesOf(text)}`).sort()
    expect(list.length > filesOverGuideMax ? list : []).toEqual([])
  })
})

describe('the layers', () => {
  const read = (path: string): string => readFileSync(join(root, path), 'utf8')
  const paths = projectPaths().filter((path) => /(^|\/)tsconfig(\.main)?\.json$/.test(path))

  it('are what the table says', () => {
    expect(layerFaults(paths, read)).toEqual([])
  })

  it('are found broken when a reference, a type or a whole layer is added', () => {
    const changed =
      (path: string, change: (config: { [key: string]: unknown }) => void) => (asked: string) => {
        const config = JSON.parse(read(asked))
        if (asked === path) change(config)
        return JSON.stringify(config)
      }
    const more = changed('server/crdt/tsconfig.json', (config) => {
      config['references'] = [...(config['references'] as unknown[]), { path: '../store' }]
    })
    const node = changed('server/crdt/tsconfig.json', (config) => {
      config['compilerOptions'] = { types: ['node'] }
    })
    const forgotten = changed('tsconfig.json', (config) => {
      config['references'] = (config['references'] as unknown[]).slice(1)
    })
    expect(layerFaults(paths, more)).toEqual(['server/crdt refers to server/store, which it may not see'])
    expect(layerFaults(paths, node)).toEqual(['server/crdt has the types "node"'])
    expect(layerFaults(paths, forgotten)).toEqual(['runtime is not built'])
    expect(
      layerFaults([...paths, 'proxy/extra/tsconfig.json'], (path) =>
        path.includes('extra') ? '{}' : read(path),
      ),
    ).toEqual(['proxy/extra is not in the table'])
    expect(layerFaults(paths.slice(1), read)).not.toEqual([])
  })

  it('keep the proxy and the syncer away from the server', () => {
    for (const layer of ['proxy', 'proxy/main', 'syncer', 'syncer/main', 'control']) {
      expect(layers[layer]?.sees.filter((seen) => seen.startsWith('server'))).toEqual([])
    }
  })
})

describe('every row of the command table', () => {
  const rows = [...commands.values()].flatMap((spec) => (spec.isContainer ? spec.subcommands : [spec]))

  it('has a handler when a shard runs it', () => {
    const run = rows.filter((spec) => runByShard(spec.request)).map((spec) => spec.name)
    expect(Object.keys(handlers).sort()).toEqual(run.sort())
  })

  it('is named by the proxy when no shard runs it', () => {
    const named = wordsOf(/^(proxy\/|protocol\/commands\/describe)/)
    const unnamed = rows.filter((spec) => !runByShard(spec.request) && !named(spec.name))
    expect(unnamed.map((spec) => spec.name)).toEqual([])
  })

  it('is sent by some test', () => {
    const sent = wordsOf(/^test\/(?!tidy|commands\/(ask|keys|lookup|options|redisFacts|table)\b)/)
    expect(rows.filter((spec) => !sent(spec.name)).map((spec) => spec.name)).toEqual([])
  })
})

/** Whether the words of a command's name are in a file whose path matches. */
function wordsOf(paths: RegExp): (name: string) => boolean {
  const found = projectPaths().filter((path) => paths.test(path) && /\.(ts|txt)$/.test(path))
  const text = found.map((path) => readFileSync(join(root, path), 'utf8')).join('\n')
  const upper = text.toUpperCase()
  const words = new Set([...(upper.match(/[A-Z][A-Z_-]*/g) ?? []), ...(upper.match(/CRDT\.[A-Z]+/g) ?? [])])
  return (name) => name.split('|').every((word) => words.has(word))
}
