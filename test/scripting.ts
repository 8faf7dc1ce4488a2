/** Lua for shards that tests run in their own process, where nobody watches. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { unwatched } from '#server/scripts/host.ts'

const module = import.meta.resolve('wasmoon-lua5.1/dist/liblua5.1.wasm')

export const testScripting = {
  readLua: () => readFileSync(fileURLToPath(module)),
  watch: unwatched,
}
