import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { generatedFiles } from '#control/docs/generated.ts'
import { syntaxOf } from '#control/docs/syntax.ts'
import { commandNamed } from '#protocol/commands/index.ts'

const root = join(import.meta.dirname, '..', '..')

describe('what is written from tables', () => {
  const files = generatedFiles()

  it.each([...files.keys()])('%s is what `npm run docs` writes', (path) => {
    expect(readFileSync(join(root, path), 'utf8')).toBe(files.get(path))
  })

  it('has no page left of a group that is gone', () => {
    const pages = readdirSync(join(root, 'docs', 'commands')).map((name) => `docs/commands/${name}`)
    expect(pages.filter((page) => !files.has(page))).toEqual([])
  })

  it('links to sections that exist', () => {
    const list = files.get('docs/commands/README.md') ?? ''
    const links = [...list.matchAll(/\]\(([a-z]+\.md)#([a-z-]+)\)/g)]
    expect(links.length).toBeGreaterThan(100)
    for (const [, file, anchor] of links) {
      const headings = (files.get(`docs/commands/${file}`) ?? '').matchAll(/^## (.+)$/gm)
      const anchors = [...headings].map(([, heading]) => heading?.toLowerCase().replaceAll(' ', '-'))
      expect(anchors).toContain(anchor)
    }
  })
})

describe('syntaxOf', () => {
  it.each([
    ['GET', 'GET key'],
    ['DEL', 'DEL key [key ...]'],
    ['MSET', 'MSET key value [key value ...]'],
    [
      'SET',
      'SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]',
    ],
    ['HRANDFIELD', 'HRANDFIELD key [count [WITHVALUES]]'],
    ['SINTERCARD', 'SINTERCARD numkeys key [key ...] [LIMIT limit]'],
    ['BITFIELD_RO', 'BITFIELD_RO key [GET encoding offset [GET encoding offset ...]]'],
    ['CLIENT|REPLY', 'CLIENT REPLY <ON | OFF | SKIP>'],
    ['CLIENT|SETINFO', 'CLIENT SETINFO <LIB-NAME libname | LIB-VER libver>'],
    ['HELLO', 'HELLO [protover [AUTH username password] [SETNAME clientname]]'],
    ['OBJECT|ENCODING', 'OBJECT ENCODING key'],
    ['COMMAND|INFO', 'COMMAND INFO [command-name [command-name ...]]'],
  ])('writes that of %s', (name, syntax) => {
    const spec = commandNamed(name)
    expect(spec && syntaxOf(spec)).toBe(syntax)
  })
})
