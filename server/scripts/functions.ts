/**
 * Functions: the libraries that the shard has been told of, and FCALL. What a library registers is part of the list, so nothing is
 * loaded before one of its functions is called; what its code keeps in local variables lasts as long as the library and the Lua do.
 */
import type { ExaminedLibrary } from '#protocol/frames/library.ts'
import { ReplyError } from '#protocol/resp/errors.ts'
import { parseInteger64 } from '#runtime/integer64.ts'
import type { CommandContext } from '#server/commands/context.ts'
import type { ScriptHost } from './host.ts'
import { LibraryLoader, type RegisteredFunction } from './libraryLoader.ts'
import { readLibraryText } from './libraryText.ts'
import { type ScriptParts, ScriptRuns } from './scriptRuns.ts'
import { countOfKeys, firstKey } from './scripts.ts'
import { readFlags, type ScriptFlags } from './shebang.ts'

export interface Library {
  readonly name: string
  readonly code: string
  readonly functions: readonly { readonly name: string; readonly flags: readonly string[] }[]
}

export interface LibraryList {
  readonly version: number
  readonly libraries: readonly Library[]
}

interface KnownFunction {
  readonly name: string
  readonly library: Library
  readonly flags: ScriptFlags
}

/** As in Redis. */
const loadMsMax = 500

export class Functions {
  readonly #host: ScriptHost
  readonly #runs: ScriptRuns
  readonly #monotonicMs: () => number
  #list: LibraryList = { version: -1, libraries: [] }
  /** By the name in lower case: letter case does not count. */
  #byName = new Map<string, KnownFunction>()
  #loader: LibraryLoader | null = null
  /** By library, in the engine of the loader: references by function. */
  readonly #loaded = new Map<Library, ReadonlyMap<string, number>>()

  constructor(parts: ScriptParts, heapBytesMax: number) {
    this.#host = parts.host
    this.#monotonicMs = parts.monotonicMs
    this.#runs = new ScriptRuns(parts, 'function', heapBytesMax)
  }

  set heapBytesMax(bytes: number) {
    this.#runs.heapBytesMax = bytes
  }

  get version(): number {
    return this.#list.version
  }

  /** Libraries whose code stays the same keep what they hold. */
  set list(list: LibraryList) {
    if (list.version <= this.version) return
    const before = new Map(this.#list.libraries.map((library) => [library.name, library]))
    const libraries = list.libraries.map((library) => {
      const same = before.get(library.name)
      return same?.code === library.code ? same : library
    })
    for (const library of this.#list.libraries) if (!libraries.includes(library)) this.#unload(library)
    this.#list = { version: list.version, libraries }
    this.#byName = new Map(libraries.flatMap(functionsOf))
  }

  /** What the code of a library would register. */
  examine(code: string): ExaminedLibrary {
    const read = readLibraryText(code)
    if (typeof read === 'string') return { name: null, error: read }
    const { name } = read
    const loader = this.#ready()
    const { engine } = loader
    const endMs = this.#monotonicMs() + loadMsMax
    const registered = loader.load(read.code, () => this.#monotonicMs() > endMs)
    if (typeof registered === 'string') {
      this.#runs.dropSpent()
      return { name, error: registered }
    }
    for (const { ref } of registered) engine.forget(ref)
    this.#runs.dropSpent()
    return { name, functions: registered.map(({ ref: _, ...facts }) => facts) }
  }

  /** FCALL and FCALL_RO: the arguments are those of the context. */
  call(context: CommandContext, readOnly: boolean): void {
    const { args, reply } = context
    const found = this.#byName.get(args.text(1).toLowerCase())
    if (found === undefined) throw new ReplyError('ERR Function not found')
    const keys = parseInteger64(args.text(2))
    if (keys === null) throw new ReplyError('ERR Bad number of keys provided')
    const firstArgument = firstKey + countOfKeys(keys, args.count)
    const { noWrites, allowOom } = found.flags
    if (readOnly && !noWrites)
      throw new ReplyError('ERR Can not execute a script with write flag using *_ro command.')
    const rights = { readOnly: noWrites, allowOom, saysItsNeeds: true }
    const refusal = this.#host.begin(context, rights, firstKey, firstArgument)
    if (refusal !== null) throw new ReplyError(refusal)
    const { engine } = this.#ready()
    const ref = this.#refOf(found)
    this.#runs.run(engine, { name: found.name, ref, args, firstKey, firstArgument }, reply)
  }

  #refOf({ library, name }: KnownFunction): number {
    const loader = this.#ready()
    let refs = this.#loaded.get(library)
    if (refs === undefined) {
      const read = readLibraryText(library.code)
      const registered = typeof read === 'string' ? read : loader.load(read.code, () => false)
      if (typeof registered === 'string') throw new ReplyError(registered)
      refs = new Map(registered.map((one: RegisteredFunction) => [one.name, one.ref]))
      this.#loaded.set(library, refs)
    }
    const ref = refs.get(name)
    // A release in which the library registers something else.
    if (ref === undefined) throw new ReplyError('ERR Function not found')
    return ref
  }

  #ready(): LibraryLoader {
    const engine = this.#runs.ready()
    if (this.#loader?.engine !== engine) {
      this.#loader = new LibraryLoader(engine)
      this.#loaded.clear()
    }
    return this.#loader
  }

  #unload(library: Library): void {
    const refs = this.#loaded.get(library)
    this.#loaded.delete(library)
    for (const ref of refs?.values() ?? []) this.#loader?.engine.forget(ref)
  }
}

function functionsOf(library: Library): (readonly [string, KnownFunction])[] {
  return library.functions.map(({ name, flags }) => {
    const read = readFlags(flags)
    // A flag of a later release: it is not known what the function may do.
    const known = typeof read === 'string' ? readOnlyFlags : read
    return [name.toLowerCase(), { name, library, flags: known }]
  })
}

const readOnlyFlags = readFlags(['no-writes']) as ScriptFlags
