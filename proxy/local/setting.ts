/** One setting that CONFIG GET and CONFIG SET know, of the proxies. */
import type { SessionHost } from '#proxy/session/host.ts'
import type { Settings } from '#proxy/settings.ts'

export interface Setting {
  get(host: SessionHost): string
  /** Absent: fixed while the process runs. */
  change?: SettingChange | SettingsChange
}

interface SettingChange {
  name: keyof Settings
  /** Null: the value can be taken; else what is wrong with it. */
  check(text: string, host: SessionHost): string | null
  /** Of a text that `check` has found right. */
  parse(text: string): number | string
}

/** Of one that is several here. */
interface SettingsChange {
  check(text: string, host: SessionHost): string | null
  parse(text: string): Partial<Settings>
}

export const oneOf = (names: readonly string[], text: string): string | null =>
  names.includes(text.toLowerCase()) ? null : `argument(s) must be one of the following: ${names.join(', ')}`
