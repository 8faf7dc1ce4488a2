import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'toml'
import { describe, expect, it } from 'vitest'
import { exampleFile, settingsPage } from '#config/describe.ts'
import { load } from '#config/load.ts'
import { databaseSection, memberSection, schema } from '#config/schema.ts'
import { root } from '#test/tidy/sourceFiles.ts'

const sections = [...Object.values(schema), databaseSection, memberSection]
const settings = sections.flatMap((section) => Object.entries(section.settings))

describe('config/example.toml', () => {
  it('is accepted as it stands', () => {
    expect(load(parse(readFileSync(join(root, 'config/example.toml'), 'utf8'))).problems).toBe(null)
  })

  it('shows every setting, with its default where it has one', () => {
    const shown = parse(exampleFile())
    const databases = shown.database
    expect(databases).toHaveLength(1)
    const tables = [...Object.keys(schema).map((name) => shown[name]), databases[0], databases[0].member[0]]
    sections.forEach((section, i) => {
      for (const [key, { fallback }] of Object.entries(section.settings)) {
        expect(tables[i], key).toHaveProperty(key)
        if (fallback !== undefined && fallback !== null) expect(tables[i][key], key).toEqual(fallback)
      }
    })
  })
})

describe('the settings page', () => {
  it('has a row for every setting', () => {
    const page = settingsPage()
    for (const [key] of settings) expect(page).toContain(`| \`${key}\` |`)
  })
})

describe('the table', () => {
  it.each(settings)('%s has a default within its limits, and says what it means', (_, setting) => {
    expect(setting.doc).toMatch(/\.$/)
    expect(setting.fallback !== undefined || setting.example !== '').toBe(true)
    if (typeof setting.fallback !== 'number') return
    expect(setting.fallback).toBeGreaterThanOrEqual(setting.min)
    expect(setting.fallback).toBeLessThanOrEqual(setting.max)
  })
})
