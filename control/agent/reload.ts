/** What a file that was read again changes at once, and what only at the next start. Pure. */
import { type NodeSettings, schema } from '#config/schema.ts'
import { camelCase } from '#config/setting.ts'

export interface Reloaded {
  settings: NodeSettings
  /** Changed settings, such as `proxy.workers`, that keep their old value until a restart. */
  needRestart: string[]
}

export function reloaded(before: NodeSettings, after: NodeSettings): Reloaded {
  const settings = structuredClone(after)
  const needRestart: string[] = []
  for (const [sectionName, section] of Object.entries(schema)) {
    const name = sectionName as keyof typeof schema
    const kept: Record<string, unknown> = { ...before[name] }
    const target = settings[name] as Record<string, unknown>
    for (const [key, { reloadable }] of Object.entries(section.settings)) {
      const field = camelCase(key)
      if (reloadable || JSON.stringify(kept[field]) === JSON.stringify(target[field])) continue
      needRestart.push(`${name}.${key}`)
      target[field] = kept[field]
    }
  }
  return { settings, needRestart }
}
