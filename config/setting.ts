/**
 * What one setting of a node's TOML file is: its type, limits, default and meaning. `schema.ts` is the table of all of
 * them; the loader, the example file and the settings page are written from it, so none of them can know a setting
 * that the others don't.
 */

export type SettingKind = 'integer' | 'boolean' | 'text' | 'texts'
export type Unit = 'us' | 'ms' | 'bytes' | 'percent' | 'count' | 'port'

export interface Setting<T> {
  kind: SettingKind
  /** What an absent setting is; undefined: it must be given. */
  fallback: T | undefined
  unit: Unit | null
  /** Of an integer: smallest and greatest; of a text, and of each of several: of its length. */
  min: number
  max: number
  /** How many texts there may be. */
  countMax: number
  /** Of a text: the only ones allowed. Of an integer: words that may stand instead of it. */
  choices: readonly string[] | null
  /** Of a text, and of each of several: the form it must have, and that form in words. */
  pattern: RegExp | null
  form: string
  /** Whether SIGHUP applies a change to the running node; otherwise it takes a restart. */
  reloadable: boolean
  /** A sentence or two for whoever sets it; says what happens when a limit is hit. */
  doc: string
  /** What the example file shows for a setting without default, as TOML. */
  example: string
}

export type SectionSettings = Readonly<Record<string, Setting<unknown>>>

export interface Section<S extends SectionSettings = SectionSettings> {
  doc: string
  settings: S
}

/** Lower case and underscores in the file, camel case in the code. */
type CamelCase<Key extends string> = Key extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Key

export const camelCase = (key: string): string =>
  key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** The settings of a section as the code sees them. */
export type SectionValues<S extends SectionSettings> = {
  [Key in keyof S & string as CamelCase<Key>]: S[Key] extends Setting<infer T> ? T : never
}

interface Facts {
  doc: string
  reloadable?: boolean
  example?: string
}

interface TextFacts extends Facts {
  lengthMax?: number
  pattern?: RegExp
  form?: string
}

const blank = {
  fallback: undefined,
  unit: null,
  min: 1,
  max: 255,
  countMax: 1,
  choices: null,
  pattern: null,
  form: '',
  reloadable: false,
  example: '',
}

export function integer(
  unit: Unit,
  min: number,
  max: number,
  fallback: number | undefined,
  facts: Facts,
): Setting<number> {
  return { ...blank, kind: 'integer', unit, min, max, fallback, ...facts }
}

/** An integer, or a word that leaves the choice to the program, which is also the default. */
export function integerOr<const Word extends string>(
  word: Word,
  unit: Unit,
  min: number,
  max: number,
  facts: Facts,
): Setting<number | Word> {
  return { ...blank, kind: 'integer', unit, min, max, choices: [word], fallback: word, ...facts }
}

export function boolean(fallback: boolean, facts: Facts): Setting<boolean> {
  return { ...blank, kind: 'boolean', fallback, ...facts }
}

export function text(facts: TextFacts & { fallback?: string; lengthMin?: number }): Setting<string> {
  const { lengthMin = blank.min, lengthMax = blank.max, ...rest } = facts
  return { ...blank, kind: 'text', min: lengthMin, max: lengthMax, ...rest }
}

/** A text that may be left out. */
export function optionalText(facts: TextFacts): Setting<string | null> {
  const { lengthMax = blank.max, ...rest } = facts
  return { ...blank, kind: 'text', max: lengthMax, ...rest, fallback: null }
}

export function choice<const T extends string>(
  choices: readonly T[],
  fallback: NoInfer<T>,
  facts: Facts,
): Setting<T> {
  return { ...blank, kind: 'text', choices, fallback, ...facts }
}

/** Several texts; none when left out. */
export function texts(countMax: number, facts: TextFacts): Setting<readonly string[]> {
  const { lengthMax = blank.max, ...rest } = facts
  return { ...blank, kind: 'texts', countMax, max: lengthMax, ...rest, fallback: [] }
}
