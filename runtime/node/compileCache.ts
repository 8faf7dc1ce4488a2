/**
 * Node keeps compiled code in the directory that `NODE_COMPILE_CACHE` names, which makes the next start several times
 * shorter, and with it the time until a killed process is back. Node writes it at an orderly end; a process that is killed
 * has none, so it is written early as well.
 */
import { flushCompileCache } from 'node:module'

export const compileCacheVariable = 'NODE_COMPILE_CACHE'

/** By then everything that a process needs has been loaded. */
const flushMs = 1000

export function flushCompileCacheSoon(): void {
  setTimeout(() => flushCompileCache(), flushMs).unref()
}
