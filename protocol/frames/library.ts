/** What a shard says of libraries of functions that it is asked to look at. */
import { isJsonObject } from '#runtime/jsonObject.ts'

export interface FunctionFacts {
  readonly name: string
  readonly description: string | null
  /** As `FUNCTION LIST` shows them. */
  readonly flags: readonly string[]
}

export interface LibraryFacts {
  readonly name: string
  readonly functions: readonly FunctionFacts[]
}

/** The name is known as far as the first line of the code is sound. */
export type ExaminedLibrary = LibraryFacts | { readonly name: string | null; readonly error: string }

/** Null: it makes no sense. */
export function readExamined(answer: unknown): ExaminedLibrary[] | null {
  const libraries = isJsonObject(answer) ? answer['libraries'] : undefined
  return Array.isArray(libraries) && libraries.every(isExamined) ? libraries : null
}

function isExamined(value: unknown): value is ExaminedLibrary {
  if (!isJsonObject(value)) return false
  const { name, error, functions } = value
  if (typeof error === 'string') return name === null || typeof name === 'string'
  return typeof name === 'string' && Array.isArray(functions)
}
