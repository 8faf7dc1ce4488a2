/** Lua for shards that tests run in their own process, where nobody watches. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { unwatched } from '#server/scripts/host.ts'
import { LuaModule } from '#server/scripts/luaMachine.ts'

const module = import.meta.resolve('wasmoon-lua5.1/dist/liblua5.1.wasm')

export const readLua = (): Uint8Array => readFileSync(fileURLToPath(module))

export const testScripting = {
  /** One for all shards: compiling it takes longer than most of what they do. */
  lua: new LuaModule(readLua),
  watch: unwatched,
}
